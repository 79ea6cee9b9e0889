import type { RotatingFile } from "./rotating-file.ts";

/** Lines kept for a disk that does not take them now; older ones are given up. */
const MAX_PENDING = 1_000;

/**
 * Writes line after line in the background, so that nobody waits for a disk. A line that fails stays
 * first in the queue until the next write; the first failure in a row is told to `onFailure`.
 */
export function createLineWriter(
  file: RotatingFile,
  onFailure: (error: unknown) => void,
): { write(line: string): void; flush(): Promise<void> } {
  const pending: string[] = [];
  let flushing: Promise<void> | null = null;
  let failing = false;

  async function writeAll(): Promise<void> {
    for (let [line] = pending; line !== undefined; [line] = pending) {
      try {
        await file.append(line);
        if (pending[0] === line) pending.shift();
        failing = false;
      } catch (error) {
        if (!failing) onFailure(error);
        failing = true;
        break;
      }
    }
    flushing = null; // in the same turn as the last look at the queue: a line that comes later begins anew
  }

  function flush(): Promise<void> {
    if (flushing === null && pending.length > 0) flushing = writeAll();
    return flushing ?? Promise.resolve();
  }

  return {
    write(line) {
      pending.push(line);
      if (pending.length > MAX_PENDING) pending.shift();
      void flush();
    },
    flush,
  };
}
