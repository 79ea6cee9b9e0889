import { spawn } from "node:child_process";
import { once } from "node:events";
import { median } from "./statistics.ts";

/** Slower than usual by so much is not a neighbour on the same core (twice) but the machine itself. */
const SLOW = 3;
const PAUSE_MS = 4;
/** Some 50 microseconds of work that needs neither memory nor the kernel. */
const TURNS = 40_000;
const WARM_UP = 50;

/** The same work over and over, until stdin ends: when each ended, and the processor time it took. */
const SCRIPT = `
const samples = [];
let sink = 1;
function measure() {
  const before = process.threadCpuUsage();
  for (let turn = 0; turn < ${TURNS}; turn++) sink = Math.imul(sink, 3);
  const { user, system } = process.threadCpuUsage(before);
  samples.push([Number(process.hrtime.bigint()) / 1e6, user + system]);
}
for (let turn = 0; turn < ${WARM_UP}; turn++) measure();
samples.length = 0;
setInterval(measure, ${PAUSE_MS});
console.log("ready");
process.stdin.resume().on("end", () => process.stdout.write(JSON.stringify(samples), () => process.exit()));
`;

/** When a piece of work ended, in milliseconds of `machineNow`, and the processor time it took, in any unit. */
export type PaceSample = readonly [at: number, cost: number];

/** Part of a machine's time, in milliseconds of `machineNow`. */
export type Span = { from: number; to: number };

/** The machine's monotonic clock, which is one for all its processes, in milliseconds. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Watches how quick the machine itself is, which a virtual one is not at all times: some work is measured by the
 * processor time that it takes, so that waiting for a core does not count. `stop` tells when it was slow; `drop` ends
 * the watch without a word, where it has not ended yet: it would keep whoever began it from ending.
 */
export async function watchPace(): Promise<{ stop(): Promise<Span[]>; drop(): void }> {
  const watcher = spawn(process.execPath, ["-e", SCRIPT], { stdio: ["pipe", "pipe", "inherit"] });
  await once(watcher.stdout, "data");
  return {
    async stop() {
      const said: Buffer[] = [];
      watcher.stdout.on("data", (piece: Buffer) => said.push(piece));
      watcher.stdin.end();
      await once(watcher, "close");
      return slowSpans(JSON.parse(Buffer.concat(said).toString()) as PaceSample[]);
    },
    drop: () => void watcher.kill("SIGKILL"),
  };
}

/** The spans in which work took more than three times the processor time that it usually does. */
export function slowSpans(samples: readonly PaceSample[]): Span[] {
  if (samples.length === 0) return [];
  const usual = median(samples.map(([, cost]) => cost));
  const spans: Span[] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const [at, cost] of samples) {
    const last = spans.at(-1);
    if (cost > SLOW * usual)
      if (last?.to === before) last.to = at;
      // It began at some time after the end of the sample before.
      else spans.push({ from: Math.max(before, at - 2 * PAUSE_MS), to: at });
    before = at;
  }
  return spans;
}

/** Whether a moment that began at `from` and took `ms` has nothing of any of the spans. */
export function isClearOf(spans: readonly Span[], from: number, ms: number): boolean {
  return spans.every((span) => span.to < from || span.from > from + ms);
}

/** The spans' share of some time, in percent. */
export function percentOf(spans: readonly Span[], ms: number): number {
  return (100 * spans.reduce((sum, { from, to }) => sum + to - from, 0)) / ms;
}
