import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { visit } from "../../platform/test/support/api-client.ts";
import { waitUntil } from "../../platform/test/support/wait-until.ts";
import { lineNumbersIn } from "../bench-app.ts";
import { atMost, type Line } from "../line.ts";
import { logFilesOf } from "../log-files.ts";
import { populate, severalAtOnce } from "../population.ts";
import { cpuSeconds, residentMegabytes } from "../process-figures.ts";
import { median, slopeOf, spreadOf } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const LINES_A_SECOND = 5_000;
const SAMPLE_EVERY_MS = 1_000;
/** What a heap needs to find its size is not growth; the series in the JSON begins at once. */
const SETTLE_SHARE = 0.2;

type Watched = { rss: number[]; cpuSeconds: number; seconds: number };

/** The platform's memory while all environments print, and whether every line they printed has arrived. */
export async function measureLogFlow(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const ids = await populate(bench);
  const pid = bench.instance.pid();
  if (pid === null) throw new Error("Cannot measure memory: the API has no process of its own");
  const idle = await residentMegabytes(pid);
  const visitAll = (path: string) => severalAtOnce(ids.map((id) => () => bench.visit(id, path)));
  const countOf = async (id: string): Promise<number> => Number((await visit(bench.instance, `${id}.localhost`)).text);

  await visitAll(`/print?per_second=${LINES_A_SECOND / ids.length}`);
  const watched = await watch(bench, pid);
  await visitAll("/stop");
  const counts = await severalAtOnce(ids.map((id) => () => countOf(id)));
  const printed = counts.reduce((sum, count) => sum + count, 0);
  const arrived = await awaitLines(bench, ids, printed);
  const steady = steadyPart(watched.rss);
  const slopeMbAMinute = (slopeOf(steady) * 60_000) / SAMPLE_EVERY_MS;
  return {
    lines: linesOf(bench, watched, printed, arrived),
    note: `RSS was ${idle.toFixed(0)} MB before the first line`,
    raw: { idle, ...watched, slopeMbAMinute, printed, arrived },
  };
}

/** Memory once a second, for as long as the row runs. */
async function watch(bench: Workbench, pid: number): Promise<Watched> {
  const [started, cpuBefore] = [performance.now(), await cpuSeconds(pid)];
  const elapsed = (): number => (performance.now() - started) / 1000;
  const rss: number[] = [];
  for (let minute = 1; elapsed() < bench.minutes * 60; ) {
    rss.push(await residentMegabytes(pid));
    await sleep(SAMPLE_EVERY_MS, undefined, { signal: bench.signal });
    if (elapsed() >= minute * 60)
      bench.progress(`minute ${minute++} of ${bench.minutes}, ${rss.at(-1)?.toFixed(0)} MB`);
  }
  return { rss, cpuSeconds: (await cpuSeconds(pid)) - cpuBefore, seconds: elapsed() };
}

function steadyPart(rss: number[]): number[] {
  return rss.slice(Math.floor(rss.length * SETTLE_SHARE));
}

function linesOf(
  bench: Workbench,
  { rss, cpuSeconds: cpu, seconds }: Watched,
  printed: number,
  arrived: Arrived,
): Line[] {
  const steady = steadyPart(rss);
  const third = Math.ceil(steady.length / 3);
  const growth = median(steady.slice(-third)) - median(steady.slice(0, third));
  const platform = spreadOf(rss);
  const line = { row: "logs", unit: "MB", bare: null, platform: null, figureUnit: "MB", goal: null };
  const rate = Math.round(printed / seconds);
  const of = `${bench.many} environments printing ${rate} lines a second for ${bench.minutes} min`;
  return [
    { ...line, what: `most RSS, ${of}`, platform, figure: platform.max, goal: atMost(200) },
    { ...line, what: "its growth: last third less first third, the first fifth left out", figure: growth },
    { ...line, what: `lines lost of ${printed}`, figure: printed - arrived.distinct, figureUnit: "", goal: atMost(0) },
    { ...line, what: "lines twice", figure: arrived.all - arrived.distinct, figureUnit: "", goal: atMost(0) },
    { ...line, what: "CPU of the API meanwhile", figure: (cpu / seconds) * 100, figureUnit: "% of a core" },
  ];
}

type Arrived = { all: number; distinct: number };

/** Counts what is in the log files, once all has arrived or no more comes. */
async function awaitLines(bench: Workbench, ids: string[], printed: number): Promise<Arrived> {
  let arrived: Arrived = { all: 0, distinct: 0 };
  const count = async (): Promise<boolean> => {
    bench.signal.throwIfAborted();
    const counts = await severalAtOnce(ids.map((id) => () => countLines(bench, id)));
    arrived = {
      all: counts.reduce((sum, { all }) => sum + all, 0),
      distinct: counts.reduce((sum, { distinct }) => sum + distinct, 0),
    };
    return arrived.distinct >= printed;
  };
  await waitUntil("every line", count, 30_000, 500).catch(() => {}); // the figure says how many are missing
  return arrived;
}

async function countLines(bench: Workbench, id: string): Promise<Arrived> {
  const files = await logFilesOf(bench, id, "app.log");
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  const numbers = texts.flatMap(lineNumbersIn);
  return { all: numbers.length, distinct: new Set(numbers).size };
}
