import { chooseArchives } from "../../domain/archive-rule.ts";
import type { DiskSpace } from "../../host/disk-space.ts";
import type { Clock } from "../../kernel/clock.ts";
import { describeError, PlatformError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { ArchiveStore } from "../../store/archive/archive-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";

const MIB = 2 ** 20;

export type DiskPressureDeps = {
  archives: ArchiveStore;
  disk: DiskSpace;
  events: Pick<EventLog, "emit">;
  clock: Pick<Clock, "now">;
  logger: Pick<Logger, "info" | "warn">;
  settings: { minFreeDisk: number; archiveMaxAge: number; archiveMaxSize: number };
};

/** Keeps MIN_FREE_DISK free for the environments that run. */
export type DiskPressure = {
  /**
   * Drops archived logs by age, by size, and while the logs' disk has less free than MIN_FREE_DISK. An archive that
   * cannot be dropped does not keep the others.
   */
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

export function createDiskPressure({
  archives,
  disk,
  events,
  clock,
  logger,
  settings,
}: DiskPressureDeps): DiskPressure {
  function describeShortage({ state, logs }: { state: number; logs: number }): string | null {
    const least = Math.min(state, logs);
    if (least >= settings.minFreeDisk) return null;
    const where = state < logs ? "state files (ENVS_DIR)" : "logs (LOGS_DIR)";
    const free = `has ${mebibytes(least)} MiB free, less than the ${mebibytes(settings.minFreeDisk)} MiB of MIN_FREE_DISK`;
    return `the disk of the ${where} ${free}`;
  }

  const shortage = async () => describeShortage(await disk.free());

  async function prune(): Promise<void> {
    const [present, { logs }] = await Promise.all([archives.list(), disk.free()]);
    const missing = settings.minFreeDisk - logs;
    const limits = { maxAge: settings.archiveMaxAge, maxSize: settings.archiveMaxSize };
    for (const { archive, reason } of chooseArchives(present, limits, missing, clock.now())) {
      const { id, bytes } = archive;
      try {
        await archives.remove(id);
        logger.info({ env_id: id, bytes, reason }, "archived logs pruned");
        events.emit({ type: "archive.pruned", env_id: id, data: { bytes, reason } });
      } catch (error) {
        logger.warn(
          { env_id: id, reason: describeError(error) },
          "cannot prune archived logs; trying again in a minute",
        );
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
      const free = await disk.free();
      const lack = describeShortage(free);
      if (lack !== null) return { ok: false, detail: `${lack}; new environments are refused` };
      return { ok: true, detail: `${mebibytes(Math.min(free.state, free.logs))} MiB free` };
    },
  };
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / MIB);
}
