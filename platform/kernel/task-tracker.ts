/** Work that is to be ended properly, whether or not anybody still waits for what comes of it. */
export type TaskTracker = {
  /** Takes note of work until it has ended, and hands it on. */
  track<T>(work: Promise<T>): Promise<T>;
  /** Resolves as soon as nothing is under way, also nothing that began meanwhile. Never rejects. */
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
