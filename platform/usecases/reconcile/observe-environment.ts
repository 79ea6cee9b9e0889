import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { isAppOf, LABEL_ENV } from "../../domain/environment/labels.ts";
import type { Observed } from "../../domain/plan/plan.ts";
import type { ContainerFacts, EngineFacts } from "../../workloads/docker/engine.ts";
import type { Context } from "../context.ts";

/** Everything outside that the platform's intent is compared with. */
export type ActualState = {
  engine: EngineFacts;
  /** By environment: whether its route, which Nginx has, is open. */
  routes: ReadonlyMap<string, boolean>;
  /** What `engine` has of containers by their names, and by the environment of their label. */
  containers: ReadonlyMap<string, ContainerFacts>;
  byEnvironment: ReadonlyMap<string, ContainerFacts[]>;
  /** The names of its networks. */
  networks: ReadonlySet<string>;
};

/** Looks at the engine and the front door; two engine calls whatever the number of environments. */
export async function observeActual({ engine, router }: Pick<Context, "engine" | "router">): Promise<ActualState> {
  const [facts, routes] = await Promise.all([engine.observe(), router.list()]);
  return {
    engine: facts,
    routes: new Map(routes.map(({ id, enabled }) => [id, enabled])),
    containers: new Map(facts.containers.map((container) => [container.name, container])),
    byEnvironment: Map.groupBy(facts.containers, ({ labels }) => labels[LABEL_ENV] ?? ""),
    networks: new Set(facts.networks.map(({ name }) => name)),
  };
}

/** The part of the world that one record speaks of. */
export function observedOf(
  record: EnvironmentRecord,
  world: ActualState,
  { settings, shippers }: Pick<Context, "settings" | "shippers">,
): Observed {
  const { name: network, ingress_address: ingressAddress } = record.network;
  const nginx = world.containers.get(settings.nginxContainer);
  const containers: Observed["containers"] = {};
  for (const { container, address } of record.services) {
    const found = world.containers.get(container);
    if (found === undefined) continue;
    containers[container] = { state: found.state, connected: isAt(found, network, address) };
  }
  return {
    network: world.networks.has(network),
    // A container that is gone cannot be connected: that is the front door's repair, not this environment's.
    ingressConnected: nginx === undefined || isAt(nginx, network, ingressAddress),
    routed: world.routes.has(record.id),
    open: world.routes.get(record.id) === true,
    containers,
    shipping: shippers.active(record.id),
  };
}

/**
 * Whether a container is on the network, at the address that others know it by: one that somebody put back by hand
 * has any. While it does not run it has none to be told.
 */
function isAt({ networks }: ContainerFacts, network: string, address: string): boolean {
  const found = networks[network];
  return found === address || found === "";
}

/** Names of app containers that say they are this environment's, which has no such service: somebody renamed them. */
export function unexpectedContainers(
  record: EnvironmentRecord,
  world: ActualState,
  { settings }: Pick<Context, "settings">,
): string[] {
  const own = new Set(record.services.map(({ container }) => container));
  return (world.byEnvironment.get(record.id) ?? [])
    .filter(({ name, labels }) => isAppOf(labels, settings.instance, record.id) && !own.has(name))
    .map(({ name }) => name);
}
