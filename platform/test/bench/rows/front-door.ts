import { stat } from "node:fs/promises";
import type { EnvironmentView } from "../../../domain/environment-view.ts";
import { docker } from "../../support/docker.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { ask, type Target } from "../first-answer.ts";
import { atLeast, atMost, ratioLine, type Line } from "../line.ts";
import { logFilesOf } from "../log-files.ts";
import { openLoop } from "../open-loop.ts";
import { spreadOf } from "../statistics.ts";
import { frontDoor, type Workbench } from "../workbench.ts";
import { hasWrk, runWrk, type WrkReport } from "../wrk.ts";

const ROUNDS = 5;
const SECONDS = 4;
/** An application's lines of one run are shipped after its end, too: a log that does not grow for so long is complete. */
const STILL_MS = 700;
const STILL_LIMIT_MS = 60_000;
/** Far below what either way can carry: what the front door adds when nothing queues. */
const PER_SECOND = 200;
/** The page people look at, and the cheapest answer there is, where the application does next to nothing. */
const PATHS = ["/", "/health"] as const;

type Path = (typeof PATHS)[number];
/** `door` is Nginx's own address, `port` the published one on loopback, which Docker's userland proxy copies through. */
type Way = "straight" | "door" | "port";
type Reports = Record<Path, Record<Way, WrkReport[]>>;
type Calm = Record<"straight" | "port", number[]>;

/** The same request through the front door and straight to the same container, by turns. */
export async function measureFrontDoor(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  if (!(await hasWrk(bench.signal))) return { lines: [], raw: null, note: "wrk is not installed" };
  const environment = await bench.create({ name: "door" });
  try {
    const reports: Reports = {
      "/": { straight: [], door: [], port: [] },
      "/health": { straight: [], door: [], port: [] },
    };
    const calm: Calm = { straight: [], port: [] };
    for (let round = 0; round < ROUNDS; round++) {
      await bench.quiet();
      for (const path of PATHS)
        for (const way of ["straight", "door", "port"] as const)
          reports[path][way].push(await load(bench, environment, way, path));
      await logIsStill(bench, environment);
      for (const way of ["straight", "port"] as const) {
        const target = await targetOf(bench, environment, way, "/health");
        const pace = { perSecond: PER_SECOND, seconds: SECONDS, signal: bench.signal };
        calm[way].push(...(await openLoop(pace, () => ask(target))).latencies);
      }
      bench.progress(`${round + 1} of ${ROUNDS}`);
    }
    return { lines: linesOf(reports, calm), raw: { reports } };
  } finally {
    await bench.destroy(environment.id);
  }
}

/** wrk on one environment, once what it printed before is shipped. */
export async function load(bench: Workbench, environment: EnvironmentView, way: Way, path: string): Promise<WrkReport> {
  const { address, port, host } = await targetOf(bench, environment, way, path);
  await logIsStill(bench, environment);
  return runWrk(`http://${address}:${port}${path}`, { Host: host }, SECONDS, bench.signal);
}

async function targetOf(
  { instance }: Workbench,
  { id, container, network, port }: EnvironmentView,
  way: Way,
  path: string,
): Promise<Target> {
  const published = frontDoor(instance, id, path);
  if (way === "straight") return { ...published, address: await addressOf(container, network), port };
  if (way === "door")
    return { ...published, address: await addressOf(`${instance.name}-nginx`, instance.name), port: 80 };
  return published;
}

async function logIsStill(bench: Workbench, { id }: EnvironmentView): Promise<void> {
  let [last, since] = [-1, performance.now()];
  const isStill = async (): Promise<boolean> => {
    const files = await logFilesOf(bench, id, "app.log");
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
    const size = sizes.reduce((sum, each) => sum + each, 0);
    if (size !== last) [last, since] = [size, performance.now()];
    return performance.now() - since >= STILL_MS;
  };
  await waitUntil("the application's log to be complete", isStill, STILL_LIMIT_MS);
}

async function addressOf(container: string, network: string): Promise<string> {
  return docker("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
}

function linesOf(reports: Reports, calm: Calm): Line[] {
  const row = "front-door";
  const spread = (path: Path, way: Way, key: keyof WrkReport) =>
    spreadOf(reports[path][way].map((report) => report[key]));
  const rate = (path: Path, way: "door" | "port", goal: Line["goal"]): Line =>
    ratioLine({
      row,
      what: `GET ${path}, wrk with 64 connections, ${way === "door" ? "Nginx's address" : "published port"}`,
      unit: "req/s",
      bare: spread(path, "straight", "perSecond"),
      platform: spread(path, way, "perSecond"),
      goal,
    });
  const tail = (path: Path, goal: Line["goal"]): Line =>
    difference(`p99 of GET ${path} with those 64`, spread(path, "straight", "p99Ms"), spread(path, "door", "p99Ms"), {
      key: "median",
      goal,
    });
  const [straight, port] = [spreadOf(calm.straight), spreadOf(calm.port)];
  return [
    rate("/", "door", atLeast(0.5)),
    rate("/health", "door", atLeast(0.5)),
    rate("/", "port", null),
    rate("/health", "port", null),
    tail("/", atMost(2)),
    tail("/health", atMost(2)),
    difference(`median at ${PER_SECOND} a second, a new connection each`, straight, port, {
      key: "median",
      goal: null,
    }),
    difference(`p99 at ${PER_SECOND} a second, a new connection each`, straight, port, { key: "p99", goal: null }),
  ];
}

function difference(
  what: string,
  bare: NonNullable<Line["bare"]>,
  platform: NonNullable<Line["platform"]>,
  { key, goal }: { key: "median" | "p99"; goal: Line["goal"] },
): Line {
  const figure = platform[key] - bare[key];
  return { row: "front-door", what, unit: "ms", bare, platform, figure, figureUnit: "ms", goal };
}
