import type { AuditEntry } from "../domain/audit.ts";
import type { AuditLog } from "./store.ts";

/** An AuditLog without a disk; `entries` is all of it. */
export function createFakeAuditLog(): AuditLog & { readonly entries: AuditEntry[] } {
  const entries: AuditEntry[] = [];
  return {
    entries,
    append: (entry) => void entries.push({ timestamp: new Date().toISOString(), ...entry }),
    read: async (limit) => entries.slice(-limit),
    close: () => Promise.resolve(),
  };
}
