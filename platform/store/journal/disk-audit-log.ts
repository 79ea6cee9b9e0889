import { join } from "node:path";
import { z } from "zod";
import { latestPerChange, type AuditEntry } from "../../domain/access/audit.ts";
import { describeError } from "../../kernel/errors.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/logger.ts";
import { chainBackwards, closeFiles, openChain } from "../files/file-chain.ts";
import { createLineWriter } from "../files/line-writer.ts";
import { createRotatingFile } from "../files/rotating-file.ts";
import type { AuditLog } from "./audit-log.ts";

const AUDIT_FILE = "audit.jsonl";
/** More than other logs keep: who looks here looks far back. */
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
  const path = join(folder, AUDIT_FILE);
  const file = createRotatingFile({ path, maxSize, keep: KEPT_FILES });
  const writer = createLineWriter(file, {
    onFailure: (error) =>
      logger?.error({ reason: describeError(error) }, "cannot write the audit log; the next entry tries again"),
    onLoss: () => logger?.error("too many audit entries wait to be written: the oldest are lost"),
  });

  return {
    append(entry) {
      writer.write(`${JSON.stringify({ timestamp: clock.timestamp(), ...entry })}\n`);
    },
    flush: () => writer.flush(),
    async read(limit) {
      await writer.flush();
      return (await readLast(path, limit)).toReversed();
    },
    async close() {
      await writer.flush();
      await file.close().catch(() => undefined); // what could not be written has been told
    },
  };
}

/** Newest first. What is no entry, such as a line somebody edited, is left out. */
async function readLast(path: string, limit: number): Promise<AuditEntry[]> {
  const files = await openChain(path, KEPT_FILES);
  const found: AuditEntry[] = [];
  const isLastWord = latestPerChange();
  try {
    for await (const batch of chainBackwards(files)) {
      for (const line of batch) {
        if (found.length >= limit) return found;
        const entry = parseEntry(line);
        if (entry !== null && isLastWord(entry)) found.push(entry);
      }
    }
    return found;
  } finally {
    await closeFiles(files);
  }
}

function parseEntry(line: string): AuditEntry | null {
  try {
    return EntrySchema.parse(JSON.parse(line)) as unknown as AuditEntry;
  } catch {
    return null;
  }
}
