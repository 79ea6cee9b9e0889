import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, storageError } from "../kernel/atomic-file.ts";

/** How much can still be written. */
export interface DiskSpace {
  /** Free bytes where the state files are and where the logs are; often the same file system. `storage_failed`. */
  free(): Promise<{ state: number; logs: number }>;
}

/** Measures the file systems of these folders. A folder that does not exist yet counts as its parent. */
export function createDiskSpace({ state, logs }: { state: string; logs: string }): DiskSpace {
  return {
    async free() {
      const [stateBytes, logBytes] = await Promise.all([freeBytes(state), freeBytes(logs)]);
      return { state: stateBytes, logs: logBytes };
    },
  };
}

/** Bytes that an ordinary user may still write: the part reserved for root does not count. */
async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && dirname(folder) !== folder) return freeBytes(dirname(folder));
    throw storageError("ask for free space in", folder, error);
  }
}
