import { closeFiles, openChain, readLastEntries } from "../files/file-chain.ts";
import { createRotatingFile } from "../files/rotating-file.ts";

/** Lines kept for a disk that does not take them now; older ones are given up. */
const MAX_PENDING = 1_000;

/** A rotated file of JSON lines, written in the background, so that no change waits for the disk. */
export type JournalFile = {
  /** Never throws: a line that fails stays first in the queue until the next write. */
  write(entry: object): void;
  /** Resolves once every line is written, or the disk has refused one. Never rejects. */
  flush(): Promise<void>;
  /** The last `limit` entries that `parse` takes, oldest first. */
  readLast<T>(limit: number, parse: (line: string) => T | null): Promise<T[]>;
  close(): Promise<void>;
};

export type JournalFileOptions = {
  path: string;
  maxSize: number;
  /** How many old files stay. */
  keep: number;
  /** Called once, until a line is written again. */
  onFailure: (error: unknown) => void;
  /** Called at the first line that is given up, until one is written again. */
  onLoss: () => void;
};

export function createJournalFile({ path, maxSize, keep, onFailure, onLoss }: JournalFileOptions): JournalFile {
  const file = createRotatingFile({ path, maxSize, keep });
  const pending: string[] = [];
  let flushing: Promise<void> | null = null;
  let failing = false;
  let losing = false;

  async function writeAll(): Promise<void> {
    for (let [line] = pending; line !== undefined; [line] = pending) {
      try {
        await file.append(line);
        if (pending[0] === line) pending.shift();
        failing = losing = false;
      } catch (error) {
        if (!failing) onFailure(error);
        failing = true;
        break;
      }
    }
    flushing = null; // in the same turn as the last look at the queue: a later line begins anew
  }

  function flush(): Promise<void> {
    if (flushing === null && pending.length > 0) flushing = writeAll();
    return flushing ?? Promise.resolve();
  }

  return {
    write(entry) {
      pending.push(`${JSON.stringify(entry)}\n`);
      if (pending.length > MAX_PENDING) {
        pending.shift();
        if (!losing) onLoss();
        losing = true;
      }
      void flush();
    },
    flush,
    async readLast(limit, parse) {
      await flush();
      const files = await openChain(path, keep);
      try {
        return await readLastEntries(files, limit, parse);
      } finally {
        await closeFiles(files);
      }
    },
    async close() {
      await flush();
      await file.close().catch(() => undefined); // the failure was told when it was written
    },
  };
}
