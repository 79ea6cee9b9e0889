import type { Role } from "./caller.ts";

/** The result of a change that has begun. Its end is an entry of its own, unless the platform was killed meanwhile. */
export const PENDING = "asked";

/** One change that a caller or the platform made or tried to make, as `logs/audit.jsonl` holds it. */
export type AuditEntry = {
  /** ISO 8601. */
  timestamp: string;
  /** The token's name; `local` without tokens, `platform` for the platform's own actions, null for a refused token. */
  who: string | null;
  role: Role | "platform" | null;
  /** Such as `create`, `destroy`, `outage crash`, `expire`. */
  what: string;
  env_id: string | null;
  /** The client's address; null for the platform itself, and for refused tokens from too many addresses to tell. */
  from: string | null;
  /** `asked`, the HTTP status it ended with, `ok`, or why it failed. */
  result: number | string;
  request_id: string | null;
  /** The two entries of a change share it. The platform makes it, so that no caller can hide a change behind another. */
  change_id?: string;
  /** How many refusals like this one the entry stands for, where there are several. */
  count?: number;
};

/** What a caller of the audit log gives: the log adds the time. */
export type NewAuditEntry = Omit<AuditEntry, "timestamp">;

/**
 * Returns a filter for entries, newest first, that keeps the latest entry of each change. An `asked` that stays has no
 * end: the change is in progress, or the platform was killed meanwhile.
 */
export function latestPerChange(): (entry: AuditEntry) => boolean {
  const ended = new Set<string>();
  return ({ change_id, result }) => {
    if (change_id === undefined) return true;
    if (result === PENDING) return !ended.has(change_id);
    ended.add(change_id);
    return true;
  };
}

/** An entry for an action of the platform itself. `failure` is null when it succeeded. */
export function platformAction(what: string, envId: string, failure: string | null): NewAuditEntry {
  return {
    who: "platform",
    role: "platform",
    what,
    env_id: envId,
    from: null,
    result: failure === null ? "ok" : `failed: ${failure}`,
    request_id: null,
  };
}
