import { chooseArchives } from "../../domain/archive-rule.ts";
import type { DiskSpace } from "../../host/disk-space.ts";
import { describeError, PlatformError } from "../../kernel/errors.ts";
import type { ArchiveStore } from "../../store/archive/archive-store.ts";
import type { Needs } from "../deps.ts";

type DiskPressureDeps = Needs<"events" | "clock" | "logger" | "settings"> & {
  archives: ArchiveStore;
  disk: DiskSpace;
};

/** Keeps MIN_FREE_DISK free for the environments that run. */
export type DiskPressure = {
  /** Drops archived logs by age, by size, and while the logs' disk has less free than MIN_FREE_DISK. */
  prune(): Promise<void>;
  /**
   * Throws `disk_full` while less than MIN_FREE_DISK is free: a new environment would bring logs, and the running
   * environments need the room. Old archives make way first.
   */
  assertSpace(): Promise<void>;
  /** Why there is too little room, with the numbers; null while there is enough. */
  shortage(): Promise<string | null>;
  /** The disk's part of `/healthz`. */
  health(): Promise<{ ok: boolean; detail: string }>;
};

export function createDiskPressure(deps: DiskPressureDeps): DiskPressure {
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

  const shortage = async () => (await look()).shortage;

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
    async assertSpace() {
      if ((await shortage()) === null) return;
      await prune();
      const lack = await shortage();
      if (lack === null) return;
      const advice = "Free space there, destroy environments, or lower ARCHIVE_MAX_SIZE or MIN_FREE_DISK";
      throw new PlatformError("disk_full", `Cannot create an environment: ${lack}. ${advice}; then try again.`);
    },
    async health() {
      const { least, shortage: lack } = await look();
      if (lack !== null) return { ok: false, detail: `${lack}; new environments are refused` };
      return { ok: true, detail: `${mebibytes(least)} MiB free` };
    },
  };
}

const mebibytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);
