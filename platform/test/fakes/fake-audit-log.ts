import { latestPerChange, type AuditEntry } from "../../domain/access/audit.ts";
import type { AuditLog } from "../../store/journal/audit-log.ts";

/** An AuditLog without a disk; `entries` is all of it. */
export function createFakeAuditLog(): AuditLog & { readonly entries: AuditEntry[] } {
  const entries: AuditEntry[] = [];
  return {
    entries,
    append: (entry) => void entries.push({ timestamp: new Date().toISOString(), ...entry }),
    flush: () => Promise.resolve(),
    read: async (limit) => entries.toReversed().filter(latestPerChange()).slice(0, limit).toReversed(),
    close: () => Promise.resolve(),
  };
}
