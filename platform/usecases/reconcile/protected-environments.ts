import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { LABEL_ENV } from "../../domain/environment/labels.ts";
import { mayStillLive } from "../../domain/environment/quarantine-ttl.ts";
import { readRange } from "../../domain/network/subnets.ts";
import type { Context } from "../context.ts";
import { isKnown } from "../environments/ownership.ts";
import type { ActualState } from "./observe-environment.ts";

/**
 * The environments whose state file was lost, set aside, or cannot be read, and whose lifetime may not be
 * over: a flipped bit or a mount that is not up must not destroy what is running. Nothing of theirs is touched,
 * their subnets are given to nobody else, they count against the quotas, and each is reported once. Putting the file right
 * and starting the platform takes them up again; deleting it, or the note of it, gives them up.
 */
export async function heldBack(context: Context, world: ActualState): Promise<ReadonlySet<string>> {
  await settleDoubt(context, world);
  const { environments, settings, clock, locks, subnets } = context;
  const found = (await environments.setAside()).filter(
    ({ id, since }) =>
      environments.get(id) === null && !locks.isHeld(id) && mayStillLive(since, settings.maxTtl, clock.now()),
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

/** Where state files may have been lost, whatever runs without one is set aside as if its file were damaged. */
async function settleDoubt(context: Context, world: ActualState): Promise<void> {
  const { environments, events, logger } = context;
  const doubt = environments.doubt();
  if (doubt === null) return;
  const lost = await findLost(context, world, doubt);
  await environments.noteLost(lost);
  if (lost.length === 0) return;
  const reason =
    "The state folder holds no state file, but environments of this instance are there: they are left as they are. " +
    "Restore the folder (ENVS_DIR) and restart the platform to take them up again, or run `make down` to give them up";
  logger.error({ environments: lost }, "state files lost; environments are left alone");
  events.emit({ type: "drift.unrepaired", env_id: null, data: { reason, environments: lost } });
}

/**
 * Environments that were somebody's: their record is saved before they are logged or their route is opened, and
 * removed after both are gone. What was made ahead has a route that is closed. Where no environment has any sign of
 * somebody, in a folder that is not the one that was there, logs and routes may be gone with it: then all that have
 * no route are taken for somebody's.
 */
async function findLost(
  context: Context,
  { engine, routes }: ActualState,
  doubt: "folder" | "files",
): Promise<string[]> {
  const { environments, locks, logs } = context;
  const aside = new Set((await environments.setAside()).map(({ id }) => id));
  const ids = [...engine.containers, ...engine.networks].map(({ labels }) => labels[LABEL_ENV] ?? "");
  const nobodys = [...new Set(ids)].filter(
    (id) => isEnvironmentId(id) && !isKnown(context, id) && !aside.has(id) && !locks.isHeld(id),
  );
  const logged = new Set(await logs.list());
  const signed = nobodys.filter((id) => logged.has(id) || routes.get(id) === true);
  if (signed.length > 0 || doubt === "files") return signed;
  return nobodys.filter((id) => !routes.has(id));
}

/** The networks of environments: theirs by label, or since a container of theirs is on it. */
export function networksOf({ engine }: Pick<ActualState, "engine">, ids: ReadonlySet<string>): ReadonlySet<string> {
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
    "its state file is lost, set aside or unreadable, so what belongs to it is left as it is. Put the file back and " +
    "restart the platform; or delete what envs/quarantine/ has of it to give it up";
  logger.warn({ env_id: id, containers }, "environment without a readable state file is left alone");
  events.emit({ type: "drift.unrepaired", env_id: id, data: { reason, containers } });
}
