import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { visit } from "../../platform/test/support/api-client.ts";
import { waitUntil } from "../../platform/test/support/wait-until.ts";
import { appLogsOf } from "../app-logs.ts";
import { lineNumbersIn } from "../bench-app.ts";
import { atMost, type Line } from "../line.ts";
import { populate, severalAtOnce } from "../population.ts";
import { median, spreadOf } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const LINES_A_SECOND = 5_000;
const SAMPLE_EVERY_MS = 1_000;
/** The heap still finds its size in this share of the row, which therefore does not count as growth. */
const SETTLE_SHARE = 0.2;
const ARRIVAL_LIMIT_MS = 30_000;

type Arrived = { all: number; distinct: number };

/** The API's memory while all environments print, and whether every line they printed has arrived once. */
export async function measureLogFlow(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const ids = await populate(bench);
  const pid = bench.instance.pid();
  if (pid === null) throw new Error("Cannot measure memory: the API has no process of its own");
  const idle = await residentMegabytes(pid);
  const visitAll = (path: string) => severalAtOnce(ids.map((id) => () => bench.visit(id, path)));
  const countOf = async (id: string): Promise<number> => Number((await visit(bench.instance, `${id}.localhost`)).text);

  await visitAll(`/print?per_second=${LINES_A_SECOND / ids.length}`);
  const rss = await watchMemory(bench, pid);
  await visitAll("/stop");
  const counts = await severalAtOnce(ids.map((id) => () => countOf(id)));
  const printed = counts.reduce((sum, count) => sum + count, 0);
  const arrived = await awaitLines(bench, ids, printed);
  return {
    lines: linesOf(bench, rss, printed, arrived),
    note: `RSS was ${idle.toFixed(0)} MB before the first line`,
    raw: { idle, rss, printed, arrived },
  };
}

/** The process's memory in MB, once a second for as long as the row runs. */
async function watchMemory(bench: Workbench, pid: number): Promise<number[]> {
  const end = performance.now() + bench.minutes * 60_000;
  const rss: number[] = [];
  while (performance.now() < end) {
    rss.push(await residentMegabytes(pid));
    await sleep(SAMPLE_EVERY_MS, undefined, { signal: bench.signal });
  }
  return rss;
}

/** Resident memory of a process of this machine, in MB of 2^20 bytes. */
async function residentMegabytes(pid: number): Promise<number> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`Cannot read the memory of process ${pid}: it has ended`);
  return Number(kilobytes) / 1024;
}

function linesOf({ many, minutes }: Workbench, rss: number[], printed: number, { all, distinct }: Arrived): Line[] {
  const steady = rss.slice(Math.floor(rss.length * SETTLE_SHARE));
  const third = Math.ceil(steady.length / 3);
  const growth = median(steady.slice(-third)) - median(steady.slice(0, third));
  const platform = spreadOf(rss);
  const line = { row: "logs", unit: "MB", baseline: null, platform: null, figureUnit: "MB", goal: null };
  const rate = Math.round(printed / (minutes * 60));
  const of = `${many} environments printing ${rate} lines a second for ${minutes} min`;
  return [
    { ...line, what: `most RSS, ${of}`, platform, figure: platform.max, goal: atMost(200) },
    { ...line, what: "its growth: last third less first third, the first fifth left out", figure: growth },
    { ...line, what: `lines of ${printed} that were lost`, figure: printed - distinct, figureUnit: "" },
    { ...line, what: "lines that arrived twice", figure: all - distinct, figureUnit: "" },
  ];
}

/** Counts the lines in the log files, once all have arrived or no more come. */
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
  await waitUntil("every line", count, ARRIVAL_LIMIT_MS, 500).catch(() => {}); // the figures say how many are missing
  return arrived;
}

async function countLines(bench: Workbench, id: string): Promise<Arrived> {
  const texts = await Promise.all((await appLogsOf(bench, id)).map((file) => readFile(file, "utf8")));
  const numbers = texts.flatMap(lineNumbersIn);
  return { all: numbers.length, distinct: new Set(numbers).size };
}
