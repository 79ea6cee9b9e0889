/** Work that several callers wait for at once, by key. */
export type SharedWork = {
  /**
   * Joins the work under way for `key`, or begins it. A caller whose `signal` aborts leaves with the
   * signal's reason; the work goes on for the others, and is aborted when the last one left.
   */
  share(key: string, work: (signal: AbortSignal) => Promise<void>, signal?: AbortSignal): Promise<void>;
};

/** No work under way yet. */
export function createSharedWork(): SharedWork {
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
