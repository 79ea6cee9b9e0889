import { isAppOf, LABEL_ENV, LABEL_ROLE, LABEL_SERVICE } from "../../domain/environment/labels.ts";
import type { ContainerFacts, EngineFacts, NetworkFacts } from "./engine.ts";
import { containerName } from "./names.ts";

/** What Docker has of one environment. */
export type FoundEnvironment = {
  env: string;
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
export function readEnvironments(
  { containers, networks }: EngineFacts,
  instance: string,
): Map<string, FoundEnvironment> {
  const present = new Map(networks.map((network) => [network.name, network]));
  const envs = new Set([...containers, ...networks].map(({ labels }) => labels[LABEL_ENV] ?? ""));
  envs.delete("");
  const byEnv = Map.groupBy(containers, ({ labels }) => labels[LABEL_ENV] ?? "");
  return new Map([...envs].map((env) => [env, readOne(env, byEnv.get(env) ?? [], present, instance)]));
}

function readOne(
  env: string,
  containers: readonly ContainerFacts[],
  networks: ReadonlyMap<string, NetworkFacts>,
  instance: string,
): FoundEnvironment {
  const services = new Map<string, ContainerFacts>();
  const leftovers = new Map<string, string>();
  for (const container of containers) {
    const service = container.labels[LABEL_SERVICE] ?? "";
    if (!isAppOf(container.labels, instance, env)) continue;
    const isExpected = container.name === containerName(instance, env, service);
    if (isExpected && networks.has(container.homeNetwork)) services.set(service, container);
    else leftovers.set(container.name, service);
  }
  const labelled = [...networks.values()].filter(({ labels }) => labels[LABEL_ENV] === env);
  const homes = [...services.values()].flatMap(({ homeNetwork }) => networks.get(homeNetwork) ?? []);
  const own = homes.filter(({ labels }) => labels[LABEL_ROLE] === "network");
  const all = new Set([...own, ...labelled].map(({ name }) => name));
  return {
    env,
    network: own[0] ?? labelled[0] ?? null,
    services,
    leftovers,
    objects: [...containers.map(({ name }) => `container ${name}`), ...[...all].map((name) => `network ${name}`)],
  };
}
