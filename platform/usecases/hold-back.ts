import { LABEL_ENV } from "../domain/labels.ts";
import { mayStillLive } from "../domain/set-aside.ts";
import { parseSubnet } from "../domain/subnets.ts";
import type { Context } from "./context.ts";
import type { World } from "./observe-environment.ts";

/**
 * The environments whose state file was set aside, or cannot be read, and whose lifetime may not be
 * over: a flipped bit must not destroy what is running. Nothing of theirs is touched, their subnets
 * are given to nobody else, and each is reported once in a platform's life. Putting the file right
 * and starting the platform takes them up again; deleting it gives them up.
 */
export async function heldBack(context: Context, world: World): Promise<ReadonlySet<string>> {
  const { environments, settings, clock, locks, subnets } = context;
  const found = (await environments.setAside()).filter(
    ({ id, since }) =>
      environments.get(id) === null && !locks.isHeld(id) && mayStillLive(since, settings.maxTtl, clock.now()),
  );
  const ids = new Set(found.map(({ id }) => id));
  const networks = networksOf(world, ids);
  for (const { name, subnet } of world.engine.networks) {
    if (!networks.has(name)) continue;
    subnets.claim(parseSubnet(subnet));
    context.heldNetworks.add(name);
  }
  for (const id of ids) report(context, id, world);
  return ids;
}

/** The networks of environments: theirs by label, or since a container of theirs is on it. */
export function networksOf({ engine }: World, ids: ReadonlySet<string>): ReadonlySet<string> {
  const isTheirs = ({ labels }: { labels: Record<string, string> }) => ids.has(labels[LABEL_ENV] ?? "");
  return new Set([
    ...engine.networks.filter(isTheirs).map(({ name }) => name),
    ...engine.containers.filter(isTheirs).flatMap(({ networks }) => Object.keys(networks)),
  ]);
}

function report({ heldBack: known, events, logger }: Context, id: string, world: World): void {
  const isIts = ({ labels }: { labels: Record<string, string> }) => labels[LABEL_ENV] === id;
  const containers = world.engine.containers.filter(isIts).map(({ name }) => name);
  const nothingThere = containers.length === 0 && !world.engine.networks.some(isIts);
  if (nothingThere || known.has(id)) return;
  known.add(id);
  const reason = "its state file is set aside or unreadable; what belongs to it is left as it is";
  logger.warn({ env_id: id, containers }, "environment without a readable state file is left alone");
  events.emit({ type: "drift.unrepaired", env_id: id, data: { reason, containers } });
}
