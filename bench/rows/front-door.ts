import type { EnvironmentView } from "../../platform/domain/environment/view.ts";
import { ask } from "../first-answer.ts";
import { atLeast, atMost, ratioLine, type Line } from "../line.ts";
import { load, logIsStill, waysTo, type Way } from "../load.ts";
import { percentOf, watchPace, type Span } from "../machine-pace.ts";
import { joinLoops, latenciesClearOf, openLoop, type LoopFigures } from "../open-loop.ts";
import { withOwnTurn } from "../own-turn.ts";
import { withPlainNginx } from "../plain-nginx.ts";
import { spreadOf, type Spread } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";
import { hasWrk, type WrkReport } from "../wrk.ts";

const ROUNDS = 5;
/** Far below what either way can carry: what the front door adds when nothing queues. */
const PER_SECOND = 200;
const CALM_SECONDS = 4;
/** The page people look at, and the cheapest answer there is, where the application does next to nothing. */
const PATHS = ["/", "/health"] as const;

/**
 * How long wrk goes each way, in this order. Long where its p99 counts: when it begins, its connections wait for the
 * application, which accepts one each time that it has been round all others, and those first answers are 1 % of all in 4 s.
 * `plain` is an Nginx that does nothing but hand on: what any would cost here.
 */
const SECONDS = { straight: 15, door: 15, plain: 15, port: 4 } as const;

type Path = (typeof PATHS)[number];
type WayName = keyof typeof SECONDS;
type Ways = Record<WayName, Way>;
type Reports = Record<Path, Record<WayName, WrkReport[]>>;
type Calm = Record<"straight" | "port", LoopFigures[]>;
/** `ms`: how long it took; `slow`: when the machine itself was meanwhile. */
type Measured = { reports: Reports; calm: Calm; ms: number; slow: Span[] };

/** The same request through the front door and straight to the same container, by turns. */
export async function measureFrontDoor(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  if (!(await hasWrk(bench.signal))) return { lines: [], raw: null, note: "wrk is not installed" };
  const environment = await bench.create({ name: "door" });
  try {
    const measured = await measure(bench, environment);
    const { reports, slow, ms } = measured;
    const note = `the machine itself was slow ${percentOf(slow, ms).toFixed(1)} % of the time`;
    return { lines: linesOf(measured), raw: { reports, slow }, note };
  } finally {
    await bench.destroy(environment.id);
  }
}

async function measure(bench: Workbench, environment: EnvironmentView): Promise<Measured> {
  const { straight, door, port } = await waysTo(bench, environment);
  const upstream = `${straight.address}:${straight.port}`;
  return withPlainNginx(bench, { network: environment.network, upstream }, async (address) => {
    const ways: Ways = { straight, door, port, plain: { ...door, address } };
    const none = () => ({ straight: [], door: [], plain: [], port: [] });
    const reports: Reports = { "/": none(), "/health": none() };
    const calm: Calm = { straight: [], port: [] };
    const from = performance.now();
    const pace = await watchPace();
    try {
      for (let round = 1; round <= ROUNDS; round++) {
        await bench.quiet();
        await runWrks(bench, environment, ways, { round, reports });
        await callNowAndThen(bench, environment, ways, calm);
      }
      return { reports, calm, ms: performance.now() - from, slow: await pace.stop() };
    } finally {
      pace.drop();
    }
  });
}

async function runWrks(
  bench: Workbench,
  environment: EnvironmentView,
  ways: Ways,
  { round, reports }: { round: number; reports: Reports },
): Promise<void> {
  for (const path of PATHS) {
    for (const [name, seconds] of Object.entries(SECONDS) as [WayName, number][]) {
      const report = await load(bench, environment, { way: ways[name], path, seconds });
      reports[path][name].push(report);
      const figures = `${report.perSecond.toFixed(0)} a second, p99 ${report.p99Ms.toFixed(1)} ms`;
      bench.progress(`${round} of ${ROUNDS}, ${path} ${name}: ${figures}`);
    }
  }
}

/** At a rate at which nothing queues. */
async function callNowAndThen(bench: Workbench, environment: EnvironmentView, ways: Ways, calm: Calm): Promise<void> {
  await logIsStill(bench, environment);
  for (const way of ["straight", "port"] as const) {
    const rate = { perSecond: PER_SECOND, seconds: CALM_SECONDS, signal: bench.signal };
    calm[way].push(await withOwnTurn(() => openLoop(rate, () => ask({ ...ways[way], path: "/health" }))));
  }
}

function linesOf({ reports, calm, slow }: Measured): Line[] {
  return [...PATHS.flatMap((path) => wrkLinesOf(path, reports[path])), ...calmLinesOf(calm, slow)];
}

function wrkLinesOf(path: Path, reports: Reports[Path]): Line[] {
  const spread = (way: WayName, key: keyof WrkReport): Spread => spreadOf(reports[way].map((report) => report[key]));
  const get = `GET ${path}, wrk with 64 connections`;
  const rate = (what: string, way: WayName, goal: Line["goal"]): Line =>
    ratioLine({
      row: "front-door",
      what: `${get}, ${what}`,
      unit: "req/s",
      bare: spread("straight", "perSecond"),
      platform: spread(way, "perSecond"),
      goal,
    });
  const tail = (what: string, way: WayName, goal: Line["goal"]): Line =>
    difference(`${get}, ${what}`, spread("straight", "p99Ms"), spread(way, "p99Ms"), { key: "median", goal });
  return [
    rate("Nginx's address", "door", atLeast(0.5)),
    rate("an Nginx that only hands on", "plain", null),
    rate("published port", "port", null),
    tail("p99", "door", atMost(2)),
    tail("p99 through an Nginx that only hands on", "plain", null),
  ];
}

function calmLinesOf(calm: Calm, slow: readonly Span[]): Line[] {
  const [straight, port] = [joinLoops(calm.straight), joinLoops(calm.port)];
  const all = [spreadOf(straight.latencies), spreadOf(port.latencies)] as const;
  const clear = [spreadOf(latenciesClearOf(slow, straight)), spreadOf(latenciesClearOf(slow, port))] as const;
  const at = `at ${PER_SECOND} a second`;
  return [
    difference(`median ${at}, a new connection each`, ...all, { key: "median", goal: null }),
    difference(`p99 ${at}, a new connection each`, ...all, { key: "p99", goal: null }),
    difference(`p99 ${at}, of those that met no moment in which the machine itself was slow`, ...clear, {
      key: "p99",
      goal: null,
    }),
  ];
}

function difference(
  what: string,
  bare: Spread,
  platform: Spread,
  { key, goal }: { key: "median" | "p99"; goal: Line["goal"] },
): Line {
  const figure = platform[key] - bare[key];
  return { row: "front-door", what, unit: "ms", bare, platform, figure, figureUnit: "ms", goal };
}
