import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "./config.ts";
import { makeFolder } from "./kernel/atomic-file.ts";
import { takeExclusiveLock, type ExclusiveLock } from "./host/instance-lock.ts";
import type { StateDirOptions } from "./store/state/state-dir-sentinel.ts";

/**
 * Makes sure that this is the one API of its instance, and the one on its state folder, until it is released or the
 * process ends: to a second one, what the first is just making is left over from a platform that died. Rejects, with
 * who has it, before anything was touched.
 */
export async function claimInstance(config: Config): Promise<ExclusiveLock> {
  const { INSTANCE, ENVS_DIR } = config;
  const instance = await take(config, `sandbox-platform instance ${INSTANCE}`, `instance "${INSTANCE}"`);
  try {
    await makeFolder(ENVS_DIR);
    const { dev, ino } = await stat(ENVS_DIR);
    const folder = await take(config, `sandbox-platform folder ${dev}:${ino}`, `a platform on "${ENVS_DIR}"`);
    return {
      async release() {
        await Promise.all([instance.release(), folder.release()]);
      },
    };
  } catch (error) {
    await instance.release();
    throw error;
  }
}

/** What the instance's state folder is told by. The copy lies where compose puts it for the API's container, too. */
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

/** A process id says nothing outside of a container. */
function describeSelf({ INSTANCE, PLATFORM_HOST, PLATFORM_PORT }: Config): string {
  const stop = existsSync("/.dockerenv") ? `docker stop ${INSTANCE}-api` : `kill ${process.pid}`;
  return `http://${PLATFORM_HOST}:${PLATFORM_PORT}, up since ${new Date().toISOString()}, ended by "${stop}"`;
}
