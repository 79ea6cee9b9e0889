/** Background work that a shutdown has to wait for, whether or not a caller still waits for its result. */
export type TaskTracker = {
  /** Remembers work until it has ended, and returns the same promise. */
  track<T>(work: Promise<T>): Promise<T>;
  /** Resolves once no work is under way, including work that began meanwhile. Never rejects. */
  whenIdle(): Promise<void>;
};

export function createTaskTracker(): TaskTracker {
  const works = new Set<Promise<unknown>>();
  return {
    track(work) {
      works.add(work);
      const forget = () => void works.delete(work);
      work.then(forget, forget);
      return work;
    },
    async whenIdle() {
      while (works.size > 0) await Promise.allSettled(works);
    },
  };
}
