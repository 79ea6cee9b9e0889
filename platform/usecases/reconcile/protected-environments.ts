import { LABEL_ENV } from "../../domain/environment/labels.ts";
import { mayStillLive } from "../../domain/environment/quarantine-ttl.ts";
import { readRange } from "../../domain/network/subnets.ts";
import type { Context } from "../context.ts";
import type { ActualState } from "./observe-environment.ts";

/**
 * Protects the environments whose state file is in quarantine or cannot be read, while their lifetime may last, so that
 * a flipped bit destroys nothing that runs. Their subnets are claimed, they count against the quotas, and each is
 * reported once. Returns their ids: none of them is an orphan.
 */
export async function protectEnvironments(context: Context, world: ActualState): Promise<ReadonlySet<string>> {
  const { environments, settings, clock, locks, subnets } = context;
  const found = (await environments.quarantined()).filter(
    ({ id, since }) => !locks.isHeld(id) && mayStillLive(since, settings.maxTtl, clock.now()),
  );
  const ids = new Set(found.map(({ id }) => id));
  const networks = networksOf(world, ids);
  for (const { name, subnet } of world.engine.networks) {
    if (!networks.has(name)) continue;
    const range = readRange(subnet);
    if (range === null) continue;
    subnets.claim(range);
    context.heldNetworks.add(name);
  }
  for (const id of ids) note(context, id, world);
  for (const id of context.heldBack) if (!ids.has(id)) context.heldBack.delete(id);
  return ids;
}

/** The names of the networks that bear these environments' label, or that a container of theirs is on. */
export function networksOf({ engine }: ActualState, ids: ReadonlySet<string>): ReadonlySet<string> {
  const isTheirs = ({ labels }: { labels: Record<string, string> }) => ids.has(labels[LABEL_ENV] ?? "");
  return new Set([
    ...engine.networks.filter(isTheirs).map(({ name }) => name),
    ...engine.containers.filter(isTheirs).flatMap(({ networks }) => Object.keys(networks)),
  ]);
}

/** Counts it while something of it is there, and reports it when it begins to count. */
function note({ heldBack: known, events, logger }: Context, id: string, world: ActualState): void {
  const isIts = ({ labels }: { labels: Record<string, string> }) => labels[LABEL_ENV] === id;
  const containers = world.engine.containers.filter(isIts).map(({ name }) => name);
  const nothingThere = containers.length === 0 && !world.engine.networks.some(isIts);
  if (nothingThere) known.delete(id);
  if (nothingThere || known.has(id)) return;
  known.add(id);
  const reason =
    "its state file is in quarantine or cannot be read, so what belongs to it is left as it is. Put the file right and " +
    "restart the platform; or delete the file, in envs/ or envs/quarantine/, to give the environment up";
  logger.warn({ env_id: id, containers }, "environment without a readable state file is left alone");
  events.emit({ type: "drift.unrepaired", env_id: id, data: { reason, containers } });
}
