import { setTimeout as sleep } from "node:timers/promises";

/** All in milliseconds. */
export type LoopTimes = {
  /** From the moment a request was due to the end of its answer. */
  latencies: number[];
  /** How long after it was due each request was sent: the part of its latency that is the client's own. */
  lateness: number[];
};

/**
 * Calls `ask` at a constant rate, also while earlier calls are unanswered. Latencies count from the moment at which a
 * call was due, so that a stall hits every request due meanwhile. Ends early with `signal`, or with the first call that
 * rejects, and then rejects with its error.
 */
export async function openLoop(
  { perSecond, seconds, signal }: { perSecond: number; seconds: number; signal?: AbortSignal },
  ask: () => Promise<unknown>,
): Promise<LoopTimes> {
  const times: LoopTimes = { latencies: [], lateness: [] };
  const start = performance.now();
  const pending: Promise<void>[] = [];
  const failed = new AbortController();

  async function send(due: number): Promise<void> {
    // A timer may end a little early.
    const from = Math.min(due, performance.now());
    times.lateness.push(performance.now() - from);
    try {
      await ask();
      times.latencies.push(performance.now() - from);
    } catch (error) {
      failed.abort(error);
    }
  }

  for (let sent = 0; sent < Math.round(perSecond * seconds); sent++) {
    if (signal?.aborted === true || failed.signal.aborted) break;
    const due = start + (sent * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 0) await sleep(wait);
    pending.push(send(due));
  }
  await Promise.all(pending);
  failed.signal.throwIfAborted();
  return times;
}
