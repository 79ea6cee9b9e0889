/**
 * Lets many callers share one look at something that costs much to look at. What a caller gets was looked up after it
 * asked, never before: one that asks while a look is under way waits for the next one, with all who ask meanwhile.
 */
export function shareLooks<T>(look: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;

  async function lookAfter(former: Promise<unknown>): Promise<T> {
    await former.catch(() => {}); // those who waited for it were told
    next = null;
    return look();
  }

  return () => {
    if (next === null) {
      next = lookAfter(underWay);
      underWay = next;
    }
    return next;
  };
}
