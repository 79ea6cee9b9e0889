import { chooseArchives } from "../../domain/archive-rule.ts";
import { describeError, PlatformError } from "../../kernel/errors.ts";
import type { Context } from "../context.ts";

const MIB = 2 ** 20;

/**
 * Drops archived logs by age, by size, and while the logs' disk has less free than MIN_FREE_DISK. One
 * that cannot be dropped does not keep the others.
 */
export async function pruneArchives(context: Context): Promise<void> {
  const { archives, disk, settings, clock, events, logger } = context;
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
      logger.warn({ env_id: id, reason: describeError(error) }, "cannot prune archived logs; trying again in a minute");
    }
  }
}

/**
 * Throws `disk_full` while less than MIN_FREE_DISK is free: a new environment would bring logs that
 * the running ones need the room for. Old archives make way first.
 */
export async function assertDiskSpace(context: Context): Promise<void> {
  if (lacking(context, await context.disk.free()) === null) return;
  await pruneArchives(context);
  const lack = lacking(context, await context.disk.free());
  if (lack === null) return;
  const advice = "Free space there, destroy environments, or lower ARCHIVE_MAX_SIZE or MIN_FREE_DISK";
  throw new PlatformError("disk_full", `Cannot create an environment: ${lack}. ${advice}; then try again.`);
}

/** What is wrong where less than MIN_FREE_DISK is free, with the numbers; null while there is room. */
export async function diskTrouble(context: Context): Promise<string | null> {
  return lacking(context, await context.disk.free());
}

/** How the disk is doing, as `/healthz` shows it. */
export async function diskHealth(context: Context): Promise<{ ok: boolean; detail: string }> {
  const free = await context.disk.free();
  const lack = lacking(context, free);
  if (lack !== null) return { ok: false, detail: `${lack}; new environments are refused` };
  return { ok: true, detail: `${mebibytes(Math.min(free.state, free.logs))} MiB free` };
}

/** What is wrong, with the numbers; null while there is room. */
function lacking({ settings }: Context, { state, logs }: { state: number; logs: number }): string | null {
  const least = Math.min(state, logs);
  if (least >= settings.minFreeDisk) return null;
  const where = state < logs ? "state files (ENVS_DIR)" : "logs (LOGS_DIR)";
  return `the disk of the ${where} has ${mebibytes(least)} MiB free, less than the ${mebibytes(settings.minFreeDisk)} MiB of MIN_FREE_DISK`;
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / MIB);
}
