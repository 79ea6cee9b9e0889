import { PlatformError } from "../../kernel/errors.ts";

/** Limits how much callers hold at once, each of them and all together. */
export type ConcurrencyLimit = {
  /** Returns the function that gives the amount back; `too_many_requests` when the caller would hold too much. */
  acquire(caller: string, amount: number): () => void;
};

/** `detail` and `retryAfter` (seconds) are for a refused caller. */
export function createConcurrencyLimit(
  { each, all }: { each: number; all: number },
  refusal: { detail: string; retryAfter: number },
): ConcurrencyLimit {
  const held = new Map<string, number>();
  let total = 0;

  function add(caller: string, amount: number): void {
    const sum = (held.get(caller) ?? 0) + amount;
    total += amount;
    if (sum === 0) held.delete(caller);
    else held.set(caller, sum);
  }

  return {
    acquire(caller, amount) {
      if ((held.get(caller) ?? 0) + amount > each || total + amount > all) {
        const headers = { "Retry-After": String(refusal.retryAfter) };
        throw new PlatformError("too_many_requests", refusal.detail, { headers });
      }
      add(caller, amount);
      return () => add(caller, -amount);
    },
  };
}
