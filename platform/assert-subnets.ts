import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { isEnvironmentId } from "./domain/environment/ids.ts";
import { refuseMovedSubnets, type Placed } from "./domain/network/subnet-change.ts";
import type { Engine, EngineFacts } from "./workloads/docker/engine.ts";
import { errnoOf } from "./kernel/atomic-file.ts";
import { delay } from "./kernel/delay.ts";
import { QUARANTINE, readRecords } from "./store/state/disk-environment-store.ts";
import { findSetAside } from "./store/state/quarantine.ts";
import { networksOf } from "./usecases/reconcile/protected-environments.ts";

/** An engine that hangs must not keep the platform from starting and saying so. */
const LOOK_LIMIT_MS = 3_000;

/**
 * Throws when the subnets in the settings are others than those that living environments, or the platform, have. Only
 * looks; what was made ahead, and what belongs to nobody, is not asked about, since a start removes it.
 */
export async function assertSubnetsHold(config: Config, engine: Pick<Engine, "observe">): Promise<void> {
  const { INSTANCE, ENVS_DIR, SUBNET_POOL: pool, PLATFORM_SUBNET: platform } = config;
  const [records, ids, facts] = await Promise.all([readRecords(ENVS_DIR), somebodys(config), look(engine)]);
  const placed: Placed[] = records.map(({ id, network }) => ({ id, subnet: network.subnet }));
  for (const id of ids) {
    if (!placed.some((one) => one.id === id)) placed.push(...subnetsOf(id, facts));
  }
  const platformNetwork = facts.networks.find(({ name }) => name === INSTANCE)?.subnet || null;
  const reason = refuseMovedSubnets({ pool, platform }, placed, platformNetwork);
  if (reason !== null) throw new Error(`Cannot start with these settings:\n  ${reason}.\nSee .env.example.`);
}

/** Environments with a state file, also one that was set aside, or with logs: what has neither was nobody's. */
async function somebodys({ ENVS_DIR, LOGS_DIR }: Config): Promise<Set<string>> {
  const [aside, logged] = await Promise.all([
    findSetAside(ENVS_DIR, join(ENVS_DIR, QUARANTINE)),
    readdir(LOGS_DIR).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return [];
      throw error;
    }),
  ]);
  return new Set([...aside.map(({ id }) => id), ...logged.filter(isEnvironmentId)]);
}

/** Where an environment without a readable record lives, by what the engine has of it. */
function subnetsOf(id: string, engine: EngineFacts): Placed[] {
  const names = networksOf({ engine }, new Set([id]));
  return engine.networks
    .filter(({ name, subnet }) => names.has(name) && subnet !== "")
    .map(({ subnet }) => ({ id, subnet }));
}

/** Of an engine that does not answer nothing is known: the state files are all there is to go by. */
async function look(engine: Pick<Engine, "observe">): Promise<EngineFacts> {
  const nothing: EngineFacts = { containers: [], networks: [] };
  const answered = new AbortController();
  const facts = engine.observe().catch(() => nothing);
  try {
    return await Promise.race([facts, delay(LOOK_LIMIT_MS, answered.signal).then(() => nothing)]);
  } finally {
    answered.abort();
  }
}
