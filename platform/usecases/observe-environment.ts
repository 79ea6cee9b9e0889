import type { EnvironmentRecord } from "../domain/environment-record.ts";
import type { Observed } from "../domain/plan.ts";
import type { EngineFacts } from "../engine/engine.ts";
import type { Context } from "./context.ts";

/** Everything outside that the platform's intent is compared with. */
export type World = {
  engine: EngineFacts;
  /** By environment: whether its route, which Nginx has, is open. */
  routes: ReadonlyMap<string, boolean>;
};

/** Looks at the engine and the front door; two engine calls whatever the number of environments. */
export async function observeWorld({ engine, ingress }: Pick<Context, "engine" | "ingress">): Promise<World> {
  const [facts, routes] = await Promise.all([engine.observe(), ingress.list()]);
  return { engine: facts, routes: new Map(routes.map(({ id, open }) => [id, open])) };
}

/** The part of the world that one record speaks of. */
export function observedOf(
  record: EnvironmentRecord,
  world: World,
  { settings, shippers }: Pick<Context, "settings" | "shippers">,
): Observed {
  const network = record.network.name;
  const nginx = world.engine.containers.find((container) => container.name === settings.nginxContainer);
  const containers: Observed["containers"] = {};
  for (const service of record.services) {
    const found = world.engine.containers.find((container) => container.name === service.container);
    if (found !== undefined)
      containers[service.container] = { state: found.state, connected: network in found.networks };
  }
  return {
    network: world.engine.networks.some((candidate) => candidate.name === network),
    // A container that is gone cannot be connected: that is the front door's repair, not this environment's.
    ingressConnected: nginx === undefined || network in nginx.networks,
    routed: world.routes.has(record.id),
    open: world.routes.get(record.id) === true,
    containers,
    shipping: shippers.active(record.id),
  };
}
