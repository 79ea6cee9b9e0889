import type { AuditEntry, NewAuditEntry } from "../../domain/access/audit.ts";

/** The changes that callers asked for, in `logs/audit.jsonl`. */
export interface AuditLog {
  /** Stamps and appends an entry. Never throws: the logger is told of a full disk. */
  append(entry: NewAuditEntry): void;
  /** Resolves once the system has every entry, or the disk has refused one. Never rejects. */
  flush(): Promise<void>;
  /** The last `limit` entries, oldest first; of a change that has ended, its end alone. */
  read(limit: number): Promise<AuditEntry[]>;
  close(): Promise<void>;
}
