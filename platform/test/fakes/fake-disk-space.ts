import type { DiskSpace } from "../../host/disk-space.ts";

/** A DiskSpace that answers `now`, which a test may change; 1 TiB at first. */
export function createFakeDiskSpace(): DiskSpace & { now: { state: number; logs: number } } {
  const space = {
    now: { state: 2 ** 40, logs: 2 ** 40 },
    free: async () => ({ ...space.now }),
  };
  return space;
}
