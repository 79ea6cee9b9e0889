import type { AuditEntry, NewAuditEntry } from "../../domain/access/audit.ts";

/** Who changed what: `logs/audit.jsonl`. */
export interface AuditLog {
  /** Stamps and appends an entry. Never throws: what was done is done, a full disk is told to the logger. */
  append(entry: NewAuditEntry): void;
  /** Resolves once the system has what was appended, or the disk has refused it. Never rejects. */
  flush(): Promise<void>;
  /** The last `limit` entries, oldest first; of a change that has ended, its end alone. */
  read(limit: number): Promise<AuditEntry[]>;
  close(): Promise<void>;
}
