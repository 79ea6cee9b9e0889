import { join } from "node:path";
import { z } from "zod";
import { latestPerChange, type AuditEntry } from "../../domain/access/audit.ts";
import { describeError } from "../../kernel/errors.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/logger.ts";
import { parseAs } from "../files/parse-as.ts";
import type { AuditLog } from "./audit-log.ts";
import { createJournalFile } from "./journal-file.ts";

const AUDIT_FILE = "audit.jsonl";
/** More than other logs keep, since a reader of this one looks far back. */
const KEPT_FILES = 9;

const EntrySchema = z.looseObject({
  timestamp: z.string(),
  what: z.string(),
  change_id: z.string().optional(),
});

/** The audit log in `<folder>/audit.jsonl`, rotated at `maxSize` bytes, nine old ones kept. */
export function createDiskAuditLog({
  folder,
  maxSize,
  clock = systemClock,
  logger,
}: {
  folder: string;
  maxSize: number;
  clock?: Clock;
  logger?: Pick<Logger, "error">;
}): AuditLog {
  const file = createJournalFile({
    path: join(folder, AUDIT_FILE),
    maxSize,
    keep: KEPT_FILES,
    onFailure: (error) =>
      logger?.error({ reason: describeError(error) }, "cannot write the audit log; the next entry tries again"),
    onLoss: () => logger?.error("too many audit entries wait to be written: the oldest are lost"),
  });

  return {
    append: (entry) => file.write({ timestamp: clock.timestamp(), ...entry }),
    flush: file.flush,
    read(limit) {
      const isLatest = latestPerChange();
      return file.readLast(limit, (line) => {
        const entry = parseAs(EntrySchema, line) as AuditEntry | null;
        return entry !== null && isLatest(entry) ? entry : null;
      });
    },
    close: file.close,
  };
}
