import type { DiskSpace } from "../../store/store.ts";

/** A DiskSpace that says what a test wants; plenty at first. */
export function createFakeDiskSpace(): DiskSpace & { now: { state: number; logs: number } } {
  const space = {
    now: { state: 2 ** 40, logs: 2 ** 40 },
    free: async () => ({ ...space.now }),
  };
  return space;
}
