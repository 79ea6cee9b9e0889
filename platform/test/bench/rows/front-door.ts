import { stat } from "node:fs/promises";
import type { EnvironmentView } from "../../../domain/environment-view.ts";
import { docker } from "../../support/docker.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { closedLoop } from "../closed-loop.ts";
import { ask, type Target } from "../first-answer.ts";
import { keptConnections } from "../kept-connections.ts";
import { atLeast, atMost, ratioLine, type Line } from "../line.ts";
import { logFilesOf } from "../log-files.ts";
import { percentOf, watchPace, type Span } from "../machine-pace.ts";
import { joinLoops, latenciesClearOf, openLoop, type LoopFigures } from "../open-loop.ts";
import { withOwnTurn } from "../own-turn.ts";
import { spreadOf, type Spread } from "../statistics.ts";
import { frontDoor, type Workbench } from "../workbench.ts";
import { hasWrk, runWrk, type WrkReport } from "../wrk.ts";

const ROUNDS = 5;
/**
 * Of wrk where its p99 counts: when it begins, its connections wait for the application, which accepts one each time that
 * it has been round all others, and those first answers are 1 % of all in 4 s.
 */
const WRK_SECONDS = 15;
const SECONDS = 4;
/** wrk's, too. */
const CONNECTIONS = 64;
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
type Busy = Record<Path, Record<"straight" | "door", LoopFigures[]>>;
type Calm = Record<"straight" | "port", LoopFigures[]>;
type Measured = { reports: Reports; busy: Busy; calm: Calm };

/** The same request through the front door and straight to the same container, by turns. */
export async function measureFrontDoor(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  if (!(await hasWrk(bench.signal))) return { lines: [], raw: null, note: "wrk is not installed" };
  const environment = await bench.create({ name: "door" });
  const pace = await watchPace();
  const from = performance.now();
  try {
    const measured: Measured = {
      reports: { "/": { straight: [], door: [], port: [] }, "/health": { straight: [], door: [], port: [] } },
      busy: { "/": { straight: [], door: [] }, "/health": { straight: [], door: [] } },
      calm: { straight: [], port: [] },
    };
    for (let round = 0; round < ROUNDS; round++) {
      await bench.quiet();
      await runWrks(bench, environment, measured.reports);
      await callOnAndOn(bench, environment, measured.busy);
      await callNowAndThen(bench, environment, measured.calm);
      bench.progress(`${round + 1} of ${ROUNDS}`);
    }
    const ms = performance.now() - from;
    const slow = await pace.stop();
    const note = `the machine itself was slow ${percentOf(slow, ms).toFixed(1)} % of the time`;
    return { lines: linesOf(measured, slow), raw: { reports: measured.reports, slow }, note };
  } finally {
    pace.drop();
    await bench.destroy(environment.id);
  }
}

async function runWrks(bench: Workbench, environment: EnvironmentView, reports: Reports): Promise<void> {
  for (const path of PATHS) {
    for (const way of ["straight", "door", "port"] as const) {
      const seconds = way === "port" ? SECONDS : WRK_SECONDS;
      reports[path][way].push(await load(bench, environment, { way, path, seconds }));
    }
  }
}

/** wrk on one environment, once what it printed before is shipped. */
export async function load(
  bench: Workbench,
  environment: EnvironmentView,
  { way, path, seconds = SECONDS }: { way: Way; path: string; seconds?: number },
): Promise<WrkReport> {
  const { address, port, host } = await targetOf(bench, environment, way, path);
  await logIsStill(bench, environment);
  return runWrk(`http://${address}:${port}${path}`, { Host: host }, seconds, bench.signal);
}

/** As wrk does, by a client that tells when each request was made: so it can be seen which met a slow machine. */
async function callOnAndOn(bench: Workbench, environment: EnvironmentView, busy: Busy): Promise<void> {
  for (const path of PATHS) {
    for (const way of ["straight", "door"] as const) {
      await logIsStill(bench, environment);
      const connections = keptConnections(await targetOf(bench, environment, way, path));
      const loop = { callers: CONNECTIONS, seconds: SECONDS, signal: bench.signal };
      try {
        busy[path][way].push(await closedLoop(loop, () => connections.ask()));
      } finally {
        connections.close();
      }
    }
  }
}

/** At a rate at which nothing queues. */
async function callNowAndThen(bench: Workbench, environment: EnvironmentView, calm: Calm): Promise<void> {
  await logIsStill(bench, environment);
  for (const way of ["straight", "port"] as const) {
    const target = await targetOf(bench, environment, way, "/health");
    const rate = { perSecond: PER_SECOND, seconds: SECONDS, signal: bench.signal };
    calm[way].push(await withOwnTurn(() => openLoop(rate, () => ask(target))));
  }
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

function linesOf({ reports, busy, calm }: Measured, slow: readonly Span[]): Line[] {
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
  const clearTail = (path: Path): Line => {
    const clear = (way: "straight" | "door") => spreadOf(latenciesClearOf(slow, joinLoops(busy[path][way])));
    const what = `p99 of GET ${path} with ${CONNECTIONS} of Node's, of those that met no moment in which the machine itself was slow`;
    return difference(what, clear("straight"), clear("door"), { key: "p99", goal: null });
  };
  const loops = [joinLoops(calm.straight), joinLoops(calm.port)] as const;
  const [straight, port] = loops.map(({ latencies }) => spreadOf(latencies)) as [Spread, Spread];
  const [clearStraight, clearPort] = loops.map((loop) => spreadOf(latenciesClearOf(slow, loop))) as [Spread, Spread];
  return [
    rate("/", "door", atLeast(0.5)),
    rate("/health", "door", atLeast(0.5)),
    rate("/", "port", null),
    rate("/health", "port", null),
    tail("/", atMost(2)),
    tail("/health", atMost(2)),
    ...PATHS.map((path) => clearTail(path)),
    difference(`median at ${PER_SECOND} a second, a new connection each`, straight, port, {
      key: "median",
      goal: null,
    }),
    difference(`p99 at ${PER_SECOND} a second, a new connection each`, straight, port, { key: "p99", goal: null }),
    difference(
      `p99 at ${PER_SECOND} a second, of those that met no moment in which the machine itself was slow`,
      clearStraight,
      clearPort,
      { key: "p99", goal: null },
    ),
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
