/** Exclusive sections by key, such as an environment's id. */
export type KeyedLock = {
  /**
   * Runs `fn` while no other section of the same key runs. Sections of one key run in the order of the calls;
   * sections of different keys never wait for each other. Rejects with the signal's reason when it aborts before
   * `fn` has begun; later aborts are up to `fn`. Not re-entrant: a section that waits for another one of its own
   * key waits for ever.
   */
  run<T>(key: string, fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Whether a section of this key is running. */
  isHeld(key: string): boolean;
  /** Resolves as soon as no section of any key is running or waiting. */
  whenIdle(): Promise<void>;
};

/**
 * A lock that remembers only the keys in use.
 *
 * Invariants: `waiting` has a key exactly as long as that key is held, with the callers that wait for it in the order
 * of their calls. A section that ends hands the key directly to the first caller that waits, so that no newcomer gets
 * in between; without one, the key is dropped.
 */
export function createKeyedLock(): KeyedLock {
  const waiting = new Map<string, Set<() => void>>();
  let idle = Promise.withResolvers<void>();

  function acquire(key: string, signal: AbortSignal | undefined): Promise<void> {
    const queue = waiting.get(key);
    if (queue === undefined) {
      waiting.set(key, new Set());
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const take = () => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = () => {
        queue.delete(take);
        reject(signal?.reason);
      };
      queue.add(take);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  function release(key: string): void {
    const queue = waiting.get(key);
    const [next] = queue ?? [];
    if (next === undefined) {
      waiting.delete(key);
      if (waiting.size > 0) return;
      idle.resolve();
      idle = Promise.withResolvers();
      return;
    }
    queue?.delete(next);
    next();
  }

  return {
    async run(key, fn, signal) {
      signal?.throwIfAborted();
      await acquire(key, signal);
      try {
        return await fn();
      } finally {
        release(key);
      }
    },
    isHeld: (key) => waiting.has(key),
    whenIdle: () => (waiting.size === 0 ? Promise.resolve() : idle.promise),
  };
}
