/**
 * Lets many callers share one look at something that costs much to look at. What a caller gets was looked up after it
 * asked, never before: one that asks while a look is under way waits for the next one, with all who ask meanwhile.
 */
export function shareNextRun<T>(look: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;

  async function lookAfter(former: Promise<unknown>): Promise<T> {
    await former.catch(() => {}); // those who waited for it were told
    next = null;
    return look();
  }

  return () => {
    if (next === null) {
      next = lookAfter(underWay);
      underWay = next;
    }
    return next;
  };
}
/** Work that several callers wait for at once, by key. */
export type SingleFlight = {
  /**
   * Joins the work under way for `key`, or begins it. A caller whose `signal` aborts leaves with the
   * signal's reason; the work goes on for the others, and is aborted when the last one left.
   */
  share(key: string, work: (signal: AbortSignal) => Promise<void>, signal?: AbortSignal): Promise<void>;
};

/** No work under way yet. */
export function createSingleFlight(): SingleFlight {
  const underWay = new Map<string, { done: Promise<void>; waiting: number; controller: AbortController }>();

  function begin(key: string, work: (signal: AbortSignal) => Promise<void>) {
    const controller = new AbortController();
    const entry = { done: Promise.resolve(), waiting: 0, controller };
    underWay.set(key, entry);
    entry.done = work(controller.signal).finally(() => {
      if (underWay.get(key) === entry) underWay.delete(key);
    });
    // Those who wait see its failure; when nobody does any more it is nobody's.
    entry.done.catch(() => {});
    return entry;
  }

  return {
    async share(key, work, signal) {
      signal?.throwIfAborted();
      const entry = underWay.get(key) ?? begin(key, work);
      entry.waiting++;
      const left = Promise.withResolvers<never>();
      const leave = (): void => left.reject(signal?.reason);
      signal?.addEventListener("abort", leave, { once: true });
      try {
        await Promise.race([entry.done, left.promise]);
      } finally {
        signal?.removeEventListener("abort", leave);
        entry.waiting--;
        if (entry.waiting === 0) {
          // Aborted work may take a while to end: who comes now begins anew.
          if (underWay.get(key) === entry) underWay.delete(key);
          entry.controller.abort();
        }
      }
    },
  };
}
