import { docker } from "../../support/docker.ts";
import { ask } from "../first-answer.ts";
import { atLeast, atMost, ratioLine, type Line } from "../line.ts";
import { openLoop } from "../open-loop.ts";
import { spreadOf } from "../statistics.ts";
import { frontDoor, type Workbench } from "../workbench.ts";
import { runWrk, type WrkReport } from "../wrk.ts";

const ROUNDS = 3;
const SECONDS = 5;
/** Far below what either way can carry: what the front door adds when nothing queues. */
const PER_SECOND = 200;

/**
 * The same request through the front door and straight to the same container, by turns. Nginx keeps no
 * connection (nginx.conf says why), so the way straight is measured with kept connections and without.
 */
export async function measureFrontDoor(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const missing = await runWrk("http://127.0.0.1:9/", {}, 1, bench.signal).catch((error) => error.code === "ENOENT");
  if (missing === true) return { lines: [], raw: null, note: "wrk is not installed" };
  const environment = await bench.create({ name: "door" });
  try {
    const { address, port, host, path } = frontDoor(bench.instance, environment.id, "/health");
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    const container = await docker("inspect", "-f", format, environment.container);
    const direct = { address: container, port: environment.port, host: container, path };
    const ways = {
      door: { url: `http://${address}:${port}${path}`, headers: { Host: host } },
      kept: { url: `http://${container}:${environment.port}${path}`, headers: {} },
      fresh: { url: `http://${container}:${environment.port}${path}`, headers: { Connection: "close" } },
    };
    const reports: Record<keyof typeof ways, WrkReport[]> = { door: [], kept: [], fresh: [] };
    const calm = { door: [] as number[], direct: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      await bench.quiet();
      for (const way of ["kept", "door", "fresh"] as const)
        reports[way].push(await runWrk(ways[way].url, ways[way].headers, SECONDS, bench.signal));
      for (const [way, target] of [
        ["direct", direct],
        ["door", { address, port, host, path }],
      ] as const) {
        const loop = await openLoop({ perSecond: PER_SECOND, seconds: SECONDS, signal: bench.signal }, () =>
          ask(target),
        );
        calm[way].push(...loop.latencies);
      }
      bench.progress(`${round + 1} of ${ROUNDS}`);
    }
    return {
      lines: linesOf(reports, calm),
      raw: { reports, calm: { door: spreadOf(calm.door), direct: spreadOf(calm.direct) } },
    };
  } finally {
    await bench.destroy(environment.id);
  }
}

type Reports = Record<"door" | "kept" | "fresh", WrkReport[]>;

function linesOf(reports: Reports, calm: Record<"door" | "direct", number[]>): Line[] {
  const spread = (way: keyof Reports, key: keyof WrkReport) => spreadOf(reports[way].map((report) => report[key]));
  const row = "front-door";
  const rates = (what: string, way: "kept" | "fresh", goal: Line["goal"]): Line =>
    ratioLine({
      row,
      what,
      unit: "req/s",
      bare: spread(way, "perSecond"),
      platform: spread("door", "perSecond"),
      goal,
    });
  const tails = (what: string, way: "kept" | "fresh", goal: Line["goal"]): Line =>
    difference(what, spread(way, "p99Ms"), spread("door", "p99Ms"), "median", goal);
  const [direct, door] = [spreadOf(calm.direct), spreadOf(calm.door)];
  return [
    rates("requests a second, wrk with 64 connections; straight: kept ones", "kept", atLeast(0.5)),
    rates("the same; straight: a new one for each request", "fresh", null),
    tails("p99 with those 64, door less straight; straight: kept ones", "kept", atMost(2)),
    tails("the same; straight: a new one for each request", "fresh", null),
    difference(`median at ${PER_SECOND} requests a second, door less straight`, direct, door, "median", null),
    difference(`p99 at ${PER_SECOND} requests a second, door less straight`, direct, door, "p99", null),
  ];
}

function difference(
  what: string,
  bare: NonNullable<Line["bare"]>,
  platform: NonNullable<Line["platform"]>,
  key: "median" | "p99",
  goal: Line["goal"],
): Line {
  const figure = platform[key] - bare[key];
  return { row: "front-door", what, unit: "ms", bare, platform, figure, figureUnit: "ms", goal };
}
