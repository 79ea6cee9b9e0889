/**
 * Single flight: callers who want the same work at once share one run of it.
 *
 * `createSingleFlight` lets a caller join the run under way, which fits work whose result does not age (pulling an
 * image). `shareNextRun` makes it wait for the run after that, which fits a look at something that changes.
 */

type Work = (signal: AbortSignal) => Promise<void>;

/** Runs shared by key. */
export type SingleFlight = {
  /**
   * Joins the run under way for `key`, or begins one. A caller whose `signal` aborts leaves with the signal's
   * reason; the run goes on for the others, and is aborted when the last caller has left.
   */
  share(key: string, work: Work, signal?: AbortSignal): Promise<void>;
};

type Run = { done: Promise<void>; callers: number; controller: AbortController };

export function createSingleFlight(): SingleFlight {
  const runs = new Map<string, Run>();

  function begin(key: string, work: Work): Run {
    const controller = new AbortController();
    const run: Run = { done: Promise.resolve(), callers: 0, controller };
    runs.set(key, run);
    run.done = work(controller.signal).finally(() => forget(key, run));
    // Its callers see the failure; once all have left it must not count as unhandled.
    run.done.catch(() => {});
    return run;
  }

  function forget(key: string, run: Run): void {
    if (runs.get(key) === run) runs.delete(key);
  }

  return {
    async share(key, work, signal) {
      signal?.throwIfAborted();
      const run = runs.get(key) ?? begin(key, work);
      run.callers++;
      const left = Promise.withResolvers<never>();
      const leave = (): void => left.reject(signal?.reason);
      signal?.addEventListener("abort", leave, { once: true });
      try {
        await Promise.race([run.done, left.promise]);
      } finally {
        signal?.removeEventListener("abort", leave);
        run.callers--;
        if (run.callers === 0) {
          // An aborted run may take a while to end: the next caller begins a new one.
          forget(key, run);
          run.controller.abort();
        }
      }
    },
  };
}

/**
 * Wraps `work` so that callers share its runs and each gets one that began after its call: a caller that comes while
 * a run is under way shares the next one with all who come meanwhile. A failed run rejects for its own callers only.
 */
export function shareNextRun<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;

  async function runAfter(former: Promise<unknown>): Promise<T> {
    await former.catch(() => {}); // rejected for its own callers
    next = null;
    return work();
  }

  return () => {
    if (next === null) {
      next = runAfter(current);
      current = next;
    }
    return next;
  };
}
