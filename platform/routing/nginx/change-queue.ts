import { delay } from "../../kernel/delay.ts";

/**
 * Removals wait so long for more of them: their routes are disabled already, and a reload would only be in the way of
 * the other steps of a destroy (docs/performance.md).
 */
const REMOVALS_DEBOUNCE_MS = 80;

/** One file of conf.d as it shall be: its text, or null for none. */
export type Change = {
  file: string;
  text: string | null;
  /** The platform's own text that the file held before; null for none. */
  previous: string | null;
};

/** A change with the caller that waits for it. */
export type PendingChange = Change & { resolve: () => void; reject: (error: unknown) => void };

/**
 * Hands changes to a single worker, batch after batch: those that arrive while `apply` is at work are the next batch.
 * `apply` settles every change of its batch; a batch for which it throws is rejected. Returns the function that submits
 * a change and settles with it.
 */
export function createChangeQueue(
  apply: (batch: PendingChange[]) => Promise<void>,
): (file: string, text: string | null) => Promise<void> {
  let queue: PendingChange[] = [];
  let isWorking = false;
  /** Ends the debounce of removals. */
  let flush = new AbortController();

  async function work(): Promise<void> {
    while (queue.length > 0) {
      if (queue.every(({ text }) => text === null)) {
        flush = new AbortController();
        await delay(REMOVALS_DEBOUNCE_MS, flush.signal);
      }
      const batch = takeBatch();
      await apply(batch).catch((error: unknown) => batch.forEach((change) => change.reject(error)));
    }
    isWorking = false;
  }

  /** Everything pending, but one change a file: a later one of the same file is for the next batch. */
  function takeBatch(): PendingChange[] {
    const first = new Map<string, PendingChange>();
    for (const change of queue) if (!first.has(change.file)) first.set(change.file, change);
    const batch = [...first.values()];
    queue = queue.filter((change) => !batch.includes(change));
    return batch;
  }

  return (file, text) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    queue.push({ file, text, previous: null, resolve, reject });
    if (text !== null) flush.abort();
    if (!isWorking) {
      isWorking = true;
      // Later in this turn of the event loop, so that changes submitted together share a reload.
      setImmediate(() => void work());
    }
    return promise;
  };
}
