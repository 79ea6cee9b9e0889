/** One reader that follows a log, as the store sees it. */
type Follower = {
  /** Aborts when nothing will be appended any more. */
  readonly ended: AbortController;
  /** Whether the log has moved to the archive. */
  archived: boolean;
  /** Tells that something was appended. */
  notify(): void;
  /** Resolves when something was appended since the last call, or `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>;
};

/** Who follows which log. Only followers at work are remembered. */
export type Followers = {
  add(id: string): Follower;
  remove(id: string, follower: Follower): void;
  of(id: string): Iterable<Follower>;
  ids(): string[];
};

export function createFollowers(): Followers {
  const followers = new Map<string, Set<Follower>>();
  return {
    add(id) {
      const follower = createFollower();
      followers.set(id, (followers.get(id) ?? new Set()).add(follower));
      return follower;
    },
    remove(id, follower) {
      const others = followers.get(id);
      others?.delete(follower);
      if (others?.size === 0) followers.delete(id);
    },
    of: (id) => followers.get(id) ?? [],
    ids: () => [...followers.keys()],
  };
}

function createFollower(): Follower {
  // Set between a change and the next look, so that what is appended while the follower reads wakes it all the same.
  let isChanged = false;
  let wake: (() => void) | null = null;
  return {
    ended: new AbortController(),
    archived: false,
    notify() {
      isChanged = true;
      wake?.();
    },
    async changed(signal) {
      if (!isChanged && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const onAbort = () => resolve();
        wake = resolve;
        signal.addEventListener("abort", onAbort);
        await promise;
        signal.removeEventListener("abort", onAbort);
      }
      isChanged = false;
    },
  };
}
