import type { Role } from "./caller.ts";

/** One change that somebody made or tried to make, as `logs/audit.jsonl` holds it. */
export type AuditEntry = {
  /** ISO 8601. */
  timestamp: string;
  /** The token's name; `local` without tokens, `platform` for what it does by itself, null for a refused token. */
  who: string | null;
  role: Role | "platform" | null;
  /** Such as `create`, `destroy`, `outage crash`, `expire`. */
  what: string;
  env_id: string | null;
  /** The client's address; null for the platform itself. */
  from: string | null;
  /** The HTTP status it was answered with, `ok`, or why it failed. */
  result: number | string;
  request_id: string | null;
};

/** What a caller of the audit log gives: the log adds the time. */
export type NewAuditEntry = Omit<AuditEntry, "timestamp">;

/** An entry for what the platform did by itself. `failure` is null when it went well. */
export function platformDeed(what: string, envId: string, failure: string | null): NewAuditEntry {
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
