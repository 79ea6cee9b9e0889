import { isAppOf, LABEL_ENV, LABEL_ROLE, LABEL_SERVICE } from "../../domain/environment/labels.ts";
import type { ContainerFacts, EngineFacts, NetworkFacts } from "./engine.ts";
import { containerName } from "./environment-network.ts";

/** What Docker has of one environment. */
export type FoundEnvironment = {
  /** Its network; null when that is gone. */
  network: NetworkFacts | null;
  /** Containers that can run, by service. */
  services: ReadonlyMap<string, ContainerFacts>;
  /**
   * Containers in the way of their own successors, by name, with their service: renamed by hand, they keep the address;
   * without their network they can never start.
   */
  leftovers: ReadonlyMap<string, string>;
  /** Names of all its objects, such as `container sandbox-env-x-app`. */
  objects: string[];
};

/** Sorts the engine's objects by environment. A network of the pool belongs to the environment that has a container on it. */
export function readEnvironments({ containers, networks }: EngineFacts, instance: string) {
  const byEnv = Map.groupBy(containers, ({ labels }) => labels[LABEL_ENV] ?? "");
  const envs = new Set([...byEnv.keys(), ...networks.map(({ labels }) => labels[LABEL_ENV] ?? "")]);
  envs.delete("");
  return new Map([...envs].map((env) => [env, readOne(env, byEnv.get(env) ?? [], networks, instance)]));
}

function readOne(
  env: string,
  containers: readonly ContainerFacts[],
  networks: readonly NetworkFacts[],
  instance: string,
): FoundEnvironment {
  const services = new Map<string, ContainerFacts>();
  const leftovers = new Map<string, string>();
  for (const container of containers) {
    const service = container.labels[LABEL_SERVICE] ?? "";
    if (!isAppOf(container.labels, instance, env)) continue;
    const isExpected = container.name === containerName(instance, env, service);
    if (isExpected && networks.some(({ name }) => name === container.homeNetwork)) services.set(service, container);
    else leftovers.set(container.name, service);
  }
  const homes = new Set([...services.values()].map(({ homeNetwork }) => homeNetwork));
  const isHome = ({ name }: NetworkFacts) => homes.has(name);
  const isOwn = (network: NetworkFacts) => network.labels[LABEL_ENV] === env || isHome(network);
  const own = networks.filter((network) => network.labels[LABEL_ROLE] === "network" && isOwn(network));
  return {
    network: own.find(isHome) ?? own[0] ?? null,
    services,
    leftovers,
    objects: [...containers.map(({ name }) => `container ${name}`), ...own.map(({ name }) => `network ${name}`)],
  };
}
