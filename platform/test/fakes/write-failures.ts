import { PlatformError } from "../../kernel/errors.ts";

/** Lets a test make the next writes of a fake store fail. */
export type WriteFailures = {
  /** The next `count` writes reject with `error`, `storage_failed` unless given. */
  failNextWrites(count?: number, error?: Error): void;
};

/** The control, and `attempt`, which a fake calls where its real counterpart would touch the disk. */
export function createWriteFailures(): WriteFailures & { attempt(): Promise<void> } {
  let left = 0;
  let failure: Error = diskFull();
  return {
    failNextWrites(count = 1, error = diskFull()) {
      left = count;
      failure = error;
    },
    async attempt() {
      await Promise.resolve();
      if (left <= 0) return;
      left--;
      throw failure;
    },
  };
}

function diskFull(): PlatformError {
  return new PlatformError("storage_failed", "Cannot write file: ENOSPC. Free disk space and try again.");
}
