import type { NewAuditEntry } from "../../domain/access/audit.ts";

const WINDOW_MS = 60_000;
/** Addresses whose refused tokens are told apart; refusals from further addresses count together. */
const MAX_ADDRESSES = 20;

/** Takes the audit entries of refused requests, which changed nothing. */
export type AuditThrottle = { append(entry: NewAuditEntry): void };

type Window = { last: NewAuditEntry; more: number };

/**
 * Writes the first refusal of a caller with a result at once, and those of the same kind that follow as one entry a
 * minute, the last of them with a `count`: a caller who is refused many times must not push the changes of others out of
 * the log, which is rotated. `stopping` writes the entries that still wait.
 */
export function createAuditThrottle(
  audit: { append(entry: NewAuditEntry): void },
  stopping: AbortSignal,
): AuditThrottle {
  const windows = new Map<string, Window>();

  function open(key: string, last: NewAuditEntry): void {
    windows.set(key, { last, more: 0 });
    setTimeout(() => close(key), WINDOW_MS).unref();
  }

  function close(key: string): void {
    const window = windows.get(key);
    windows.delete(key);
    if (window === undefined || window.more === 0) return;
    write(window);
    open(key, window.last);
  }

  function write({ last, more }: Window): void {
    if (more > 0) audit.append(more === 1 ? last : { ...last, count: more });
  }

  const addresses = () => [...windows.values()].filter(({ last }) => last.who === null).length;

  /** By address only where there is no name: a caller with many addresses would have as many entries. */
  function placeOf(entry: NewAuditEntry): { key: string; entry: NewAuditEntry } {
    const key = JSON.stringify([entry.who, entry.who === null ? entry.from : null, entry.result]);
    if (entry.who !== null || windows.has(key) || addresses() < MAX_ADDRESSES) return { key, entry };
    return { key: JSON.stringify([null, null, entry.result]), entry: { ...entry, from: null } };
  }

  stopping.addEventListener("abort", () => {
    windows.forEach(write);
    windows.clear();
  });

  return {
    append(given) {
      const { key, entry } = placeOf(given);
      const window = windows.get(key);
      if (window === undefined) {
        audit.append(entry);
        open(key, entry);
        return;
      }
      window.last = entry;
      window.more++;
    },
  };
}
