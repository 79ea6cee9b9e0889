import type { NewAuditEntry } from "../../domain/access/audit.ts";
import type { Context } from "../../usecases/context.ts";

const WINDOW_MS = 60_000;
/** Addresses whose refused tokens are told apart; what comes from more counts together. */
const MAX_ADDRESSES = 20;

/** Requests that were refused before anything was done, on their way into the audit log. */
export type AuditThrottle = { note(entry: NewAuditEntry): void };

type Window = { last: NewAuditEntry; more: number };

/**
 * Writes the first refusal of a caller with a result at once, and those of the same kind that follow as one
 * entry a minute, the last of them with a `count`: whoever is refused as often as they like must not push
 * the changes of others out of a log that is rotated.
 */
export function createAuditThrottle(
  { audit, stopping }: Pick<Context, "audit" | "stopping">,
  windowMs = WINDOW_MS,
): AuditThrottle {
  const windows = new Map<string, Window>();

  function open(key: string, last: NewAuditEntry): void {
    windows.set(key, { last, more: 0 });
    setTimeout(() => close(key), windowMs).unref();
  }

  function close(key: string): void {
    const window = windows.get(key);
    windows.delete(key);
    if (window === undefined || window.more === 0) return;
    write(window);
    open(key, window.last);
  }

  function write({ last, more }: Window): void {
    audit.append(more === 1 ? last : { ...last, count: more });
  }

  const addresses = () => [...windows.values()].filter(({ last }) => last.who === null).length;

  /** By address only where there is no name, or somebody with many addresses would have as many entries. */
  function placeOf(entry: NewAuditEntry): { key: string; entry: NewAuditEntry } {
    const key = JSON.stringify([entry.who, entry.who === null ? entry.from : null, entry.result]);
    if (entry.who !== null || windows.has(key) || addresses() < MAX_ADDRESSES) return { key, entry };
    return { key: JSON.stringify([null, null, entry.result]), entry: { ...entry, from: null } };
  }

  stopping.addEventListener(
    "abort",
    () => {
      for (const window of windows.values()) if (window.more > 0) write(window);
      windows.clear();
    },
    { once: true },
  );

  return {
    note(given) {
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
