import { setTimeout as sleep } from "node:timers/promises";
import { timed, type Workbench } from "./workbench.ts";

/** How many callers there are, and the milliseconds from one round of a caller to its next; a longer round takes its time. */
type Callers = { count: number; everyMs: number };

/**
 * Does `work` beside callers who each create and destroy a named environment, round after round. Resolves to the times
 * of their creates in milliseconds once all have ended; rejects with the first failure of the work or of a caller.
 */
export async function besideCallers(
  bench: Workbench,
  { count, everyMs }: Callers,
  work: () => Promise<void>,
): Promise<number[]> {
  const stopping = new AbortController();
  const creates: number[] = [];

  async function call(name: string): Promise<void> {
    while (!stopping.signal.aborted) {
      const next = performance.now() + everyMs;
      const { result, ms } = await timed(() => bench.create({ name }));
      creates.push(ms);
      await bench.destroy(result.id);
      await sleep(Math.max(0, next - performance.now()), undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  const callers = Promise.all(Array.from({ length: count }, (_, index) => call(`caller-${index}`)));
  callers.catch(() => {}); // rejects below
  try {
    await work();
  } finally {
    // In any case: a caller that went on would disturb the next row.
    stopping.abort();
    await callers;
  }
  return creates;
}
