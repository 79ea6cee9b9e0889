import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "./config.ts";
import { makeFolder } from "./kernel/atomic-file.ts";
import { takeExclusiveLock, type ExclusiveLock } from "./host/instance-lock.ts";
import type { StateDirOptions } from "./store/state/state-dir-sentinel.ts";

/**
 * Claims the instance and its state folder for this API, until it is released or the process ends: a second API would
 * take for leftovers what the first is making. Rejects with the address of the API that has them, before any change.
 */
export async function claimInstance(config: Config): Promise<ExclusiveLock> {
  const { INSTANCE, ENVS_DIR } = config;
  const instance = await take(config, `sandbox-platform instance ${INSTANCE}`, `instance "${INSTANCE}"`);
  try {
    await makeFolder(ENVS_DIR);
    const { dev, ino } = await stat(ENVS_DIR);
    const folder = await take(config, `sandbox-platform folder ${dev}:${ino}`, `a platform on "${ENVS_DIR}"`);
    return { release: async () => void (await Promise.all([instance.release(), folder.release()])) };
  } catch (error) {
    await instance.release();
    throw error;
  }
}

/** The place of the instance's state folder and of its copied id, and the settings that a start checks against it. */
export function stateDirOf({ INSTANCE, ENVS_DIR, SUBNET_POOL, PLATFORM_SUBNET, MAX_TTL }: Config): StateDirOptions {
  return {
    folder: ENVS_DIR,
    copy: resolve(".cache/state", INSTANCE, "id"),
    subnets: { subnet_pool: SUBNET_POOL, platform_subnet: PLATFORM_SUBNET },
    maxTtl: MAX_TTL,
  };
}

async function take(config: Config, name: string, what: string): Promise<ExclusiveLock> {
  const taken = await takeExclusiveLock(name, describeSelf(config));
  if ("lock" in taken) return taken.lock;
  throw new Error(
    `Cannot start ${what}: it is up already, and would lose what it is making to a second one. It says of itself: ` +
      `${taken.holder}. Stop that one first, or give this one an INSTANCE, folders, ports and subnets of its own.`,
  );
}

/** Without a process id in a container, where it says nothing to others. */
function describeSelf({ INSTANCE, PLATFORM_HOST, PLATFORM_PORT }: Config): string {
  const stop = existsSync("/.dockerenv") ? `docker stop ${INSTANCE}-api` : `kill ${process.pid}`;
  return `http://${PLATFORM_HOST}:${PLATFORM_PORT}, up since ${new Date().toISOString()}, ended by "${stop}"`;
}
