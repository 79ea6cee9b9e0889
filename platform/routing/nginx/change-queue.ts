import { delay } from "../../kernel/delay.ts";
import type { Change } from "./sift-changes.ts";

/**
 * Removals wait so long for more of them: their routes are closed already, and a reload would only be in the way of what
 * is removed beside them (docs/performance.md).
 */
const REMOVALS_LINGER_MS = 80;

/** A change that somebody waits for. */
export type Pending = Change & { resolve: () => void; reject: (error: unknown) => void };

type Work = {
  /** Makes a batch live, and settles every change of it. */
  apply: (batch: Pending[]) => Promise<void>;
  /** `apply` failed by something that it does not expect. */
  giveUp: (batch: Pending[], error: unknown) => Promise<void>;
};

/**
 * Hands changes to a single worker, batch after batch: those that arrive while it is at work are the next batch's.
 * Returns what asks for a change and settles when the change has.
 */
export function createChangeQueue({ apply, giveUp }: Work): (file: string, text: string | null) => Promise<void> {
  let queue: Pending[] = [];
  let working = false;
  /** Ends the waiting of removals. */
  let hurry = new AbortController();

  async function work(): Promise<void> {
    while (queue.length > 0) {
      if (queue.every(({ text }) => text === null)) {
        hurry = new AbortController();
        await delay(REMOVALS_LINGER_MS, hurry.signal);
      }
      const batch = takeBatch();
      await apply(batch).catch((error: unknown) => giveUp(batch, error));
    }
    working = false;
  }

  /** Everything pending, but one change a file: a later one of the same file waits its turn. */
  function takeBatch(): Pending[] {
    const first = new Map<string, Pending>();
    for (const change of queue) if (!first.has(change.file)) first.set(change.file, change);
    const batch = [...first.values()];
    queue = queue.filter((change) => !batch.includes(change));
    return batch;
  }

  return (file, text) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    queue.push({ file, text, previous: null, resolve, reject });
    if (text !== null) hurry.abort();
    if (!working) {
      working = true;
      // Later in this turn of the event loop, so that changes asked for together share a reload.
      setImmediate(() => void work());
    }
    return promise;
  };
}
