/** Wakes all who wait for the next change. */
export type Notifier = {
  notify(): void;
  /** How many changes there have been. */
  count(): number;
  /** Resolves at the first change after the `seen`-th, at once where there was one, or when `signal` aborts. */
  next(signal: AbortSignal, seen?: number): Promise<void>;
};

export function createNotifier(): Notifier {
  const waiting = new Set<() => void>();
  let changes = 0;
  return {
    notify() {
      changes++;
      for (const wake of waiting) wake();
    },
    count: () => changes,
    async next(signal, seen = changes) {
      if (signal.aborted || changes > seen) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      waiting.add(wake);
      signal.addEventListener("abort", wake);
      await promise;
      waiting.delete(wake);
      signal.removeEventListener("abort", wake);
    },
  };
}
