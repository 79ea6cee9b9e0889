const REMEMBERED = 1_000;

/**
 * The ids whose logs were archived or discarded last: what still arrives for them must not begin a
 * folder anew. Only the last 1,000, since what arrives late arrives within seconds.
 */
export function createTombstones(): { add(id: string): void; has(id: string): boolean } {
  const ids = new Set<string>();
  return {
    add(id) {
      ids.delete(id);
      ids.add(id);
      const [oldest] = ids;
      if (ids.size > REMEMBERED && oldest !== undefined) ids.delete(oldest);
    },
    has: (id) => ids.has(id),
  };
}
