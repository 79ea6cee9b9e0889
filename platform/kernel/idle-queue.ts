import { delay } from "./delay.ts";

/** How long background work waits for one operation in progress to end, and for several, in milliseconds. */
const PATIENCE_MS = { one: 1_000, several: 5_000 };
const POLL_MS = 50;

/** Background work, one piece at a time, at quiet moments. */
export type IdleQueue = {
  /** Counts an operation that background work should not slow down. */
  busyWhile<T>(operation: () => Promise<T>): Promise<T>;
  /**
   * Runs `work` once no operation is in progress and the former work has ended; beside operations that do not pause
   * for some seconds, so that it is done in the end. Null when `signal` aborted before it began.
   */
  run<T>(work: () => Promise<T>): Promise<T | null>;
};

export function createIdleQueue(signal: AbortSignal, patience = PATIENCE_MS): IdleQueue {
  let operations = 0;
  let last: Promise<unknown> = Promise.resolve();

  async function untilQuiet(): Promise<void> {
    const asked = performance.now();
    const isQuiet = () =>
      operations === 0 || performance.now() - asked >= (operations > 1 ? patience.several : patience.one);
    while (!signal.aborted && !isQuiet()) await delay(POLL_MS, signal);
  }

  async function runNext<T>(former: Promise<unknown>, work: () => Promise<T>): Promise<T | null> {
    await former.catch(() => {}); // its caller was told
    await untilQuiet();
    return signal.aborted ? null : work();
  }

  return {
    async busyWhile(operation) {
      operations++;
      try {
        return await operation();
      } finally {
        operations--;
      }
    },
    run(work) {
      const mine = runNext(last, work);
      last = mine;
      return mine;
    },
  };
}
