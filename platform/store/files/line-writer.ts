import type { RotatingFile } from "./rotating-file.ts";

/** Lines kept for a disk that does not take them now; older ones are given up. */
const MAX_PENDING = 1_000;

/** What is told once, until a line is written again. */
type Troubles = {
  onFailure: (error: unknown) => void;
  /** A line was given up that nobody will read. */
  onLoss: () => void;
};

/**
 * Writes line after line in the background, so that nobody waits for a disk. A line that fails stays
 * first in the queue until the next write.
 */
export function createLineWriter(
  file: RotatingFile,
  { onFailure, onLoss }: Troubles,
): { write(line: string): void; flush(): Promise<void> } {
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
    flushing = null; // in the same turn as the last look at the queue: a line that comes later begins anew
  }

  function lose(): void {
    pending.shift();
    if (!losing) onLoss();
    losing = true;
  }

  function flush(): Promise<void> {
    if (flushing === null && pending.length > 0) flushing = writeAll();
    return flushing ?? Promise.resolve();
  }

  return {
    write(line) {
      pending.push(line);
      if (pending.length > MAX_PENDING) lose();
      void flush();
    },
    flush,
  };
}
