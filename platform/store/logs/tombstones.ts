const REMEMBERED = 1_000;

/**
 * The last 1,000 ids whose logs were archived or discarded: a late line must not begin their folder anew. Late lines
 * arrive within seconds.
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
