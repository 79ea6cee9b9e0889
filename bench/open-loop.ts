import { setTimeout as sleep } from "node:timers/promises";
import { isClearOf, machineNow, type Span } from "./machine-pace.ts";

/** What a loop of requests has met; all in milliseconds. */
export type LoopFigures = {
  /** From the moment a request was due to the end of its answer. */
  latencies: number[];
  /** For each of those, when it was due, by the machine's clock (`machineNow`). */
  dues: number[];
  /** How much later than due each request was sent: what of its latency is the sender's own. */
  lateness: number[];
  /** Requests without a good answer, by reason. */
  failures: Record<string, number>;
};

/**
 * Calls `ask` at a constant rate, whether or not former calls have been answered. A latency counts from
 * the moment at which a call was due: a server that stalls, and a sender held up by it, cannot hide the
 * stall by having fewer requests meet it. `ask` rejects where the answer is no good.
 */
export async function openLoop(
  { perSecond, seconds, signal }: { perSecond: number; seconds: number; signal?: AbortSignal },
  ask: () => Promise<unknown>,
): Promise<LoopFigures> {
  const result: LoopFigures = { latencies: [], dues: [], lateness: [], failures: {} };
  const total = Math.round(perSecond * seconds);
  const start = performance.now();
  const machineStart = machineNow();
  const under: Promise<void>[] = [];

  async function send(due: number): Promise<void> {
    // A timer may end a little early.
    const from = Math.min(due, performance.now());
    result.lateness.push(performance.now() - from);
    try {
      await ask();
      result.latencies.push(performance.now() - from);
      result.dues.push(machineStart + from - start);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      result.failures[reason] = (result.failures[reason] ?? 0) + 1;
    }
  }

  for (let sent = 0; sent < total; sent++) {
    if (signal?.aborted === true) break;
    const due = start + (sent * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 0) await sleep(wait);
    under.push(send(due));
  }
  await Promise.all(under);
  return result;
}

/** The latencies of those requests that met nothing of some spans, from when they were due to their answers. */
export function latenciesClearOf(spans: readonly Span[], { latencies, dues }: LoopFigures): number[] {
  return latencies.filter((ms, index) => isClearOf(spans, dues[index] ?? Number.NaN, ms));
}

/** What several loops have met, as one. */
export function joinLoops(loops: readonly LoopFigures[]): LoopFigures {
  const failures: Record<string, number> = {};
  for (const loop of loops)
    for (const [reason, count] of Object.entries(loop.failures)) failures[reason] = (failures[reason] ?? 0) + count;
  return {
    latencies: loops.flatMap(({ latencies }) => latencies),
    dues: loops.flatMap(({ dues }) => dues),
    lateness: loops.flatMap(({ lateness }) => lateness),
    failures,
  };
}
