/** What callers hold at once, of whatever is counted: so much each, and so much all together. */
export type ConcurrencyLimit = {
  /** Returns what gives it back; null when it would be too much. */
  acquire(caller: string, amount: number): (() => void) | null;
};

export function createConcurrencyLimit({ each, all = Infinity }: { each: number; all?: number }): ConcurrencyLimit {
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
      if ((held.get(caller) ?? 0) + amount > each || total + amount > all) return null;
      add(caller, amount);
      return () => add(caller, -amount);
    },
  };
}
