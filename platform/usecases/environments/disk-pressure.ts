import { chooseArchives } from "../../domain/archive-rule.ts";
import type { DiskSpace } from "../../host/disk-space.ts";
import { describeError, PlatformError } from "../../kernel/errors.ts";
import type { ArchiveStore } from "../../store/archive/archive-store.ts";
import type { Needs } from "../deps.ts";

type DiskPressureDeps = Needs<"events" | "clock" | "logger" | "settings"> & {
  archives: ArchiveStore;
  disk: DiskSpace;
};

export type DiskPressure = ReturnType<typeof createDiskPressure>;

/** Keeps MIN_FREE_DISK free for the environments that run. */
export function createDiskPressure(deps: DiskPressureDeps) {
  const { archives, disk, events, clock, logger } = deps;
  const { minFreeDisk, archiveMaxAge: maxAge, archiveMaxSize: maxSize } = deps.settings;

  async function look(): Promise<{ least: number; shortage: string | null }> {
    const { state, logs } = await disk.free();
    const least = Math.min(state, logs);
    if (least >= minFreeDisk) return { least, shortage: null };
    const where = state < logs ? "state files (ENVS_DIR)" : "logs (LOGS_DIR)";
    const numbers = `${mebibytes(least)} MiB free, less than the ${mebibytes(minFreeDisk)} MiB of MIN_FREE_DISK`;
    return { least, shortage: `the disk of the ${where} has ${numbers}` };
  }

  /** Why there is too little room, with the numbers; null while there is enough. */
  const shortage = async () => (await look()).shortage;

  /** Drops archived logs by age, by size, and while the logs' disk has less free than MIN_FREE_DISK. */
  async function prune(): Promise<void> {
    const [present, { logs }] = await Promise.all([archives.list(), disk.free()]);
    for (const { archive, reason } of chooseArchives(present, { maxAge, maxSize }, minFreeDisk - logs, clock.now())) {
      const { id: env_id, bytes } = archive;
      try {
        await archives.remove(env_id);
        logger.info({ env_id, bytes, reason }, "archived logs pruned");
        events.emit({ type: "archive.pruned", env_id, data: { bytes, reason } });
      } catch (error) {
        logger.warn({ env_id, reason: describeError(error) }, "cannot prune archived logs; trying again in a minute");
      }
    }
  }

  return {
    prune,
    shortage,
    /**
     * Throws `disk_full` while less than MIN_FREE_DISK is free: a new environment would bring logs, and the running
     * environments need the room. Old archives make way first.
     */
    async assertSpace(): Promise<void> {
      if ((await shortage()) === null) return;
      await prune();
      const lack = await shortage();
      if (lack === null) return;
      const advice = "Free space there, destroy environments, or lower ARCHIVE_MAX_SIZE or MIN_FREE_DISK";
      throw new PlatformError("disk_full", `Cannot create an environment: ${lack}. ${advice}; then try again.`);
    },
    /** The disk's part of `/healthz`. */
    async health(): Promise<{ ok: boolean; detail: string }> {
      const { least, shortage: lack } = await look();
      if (lack !== null) return { ok: false, detail: `${lack}; new environments are refused` };
      return { ok: true, detail: `${mebibytes(least)} MiB free` };
    },
  };
}

const mebibytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);
