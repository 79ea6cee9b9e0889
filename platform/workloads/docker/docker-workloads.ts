import { isAppOf, LABEL_ENV, LABEL_ROLE } from "../../domain/environment/labels.ts";
import { createSubnetAllocator, formatSubnet, parseSubnet, type Subnet } from "../../domain/network/subnets.ts";
import type { Placement } from "../../domain/plan/observed.ts";
import { isPlatformError, PlatformError } from "../../kernel/errors.ts";
import type { Failpoint } from "../../kernel/failpoint.ts";
import type { IdleQueue } from "../../kernel/idle-queue.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { ActualEnvironment, EdgeContainer, NetworkPool, ServiceRef, Workloads } from "../workloads.ts";
import { createEdgeContainer } from "./edge-container.ts";
import type { ContainerFacts, Engine, EngineFacts } from "./engine.ts";
import { createEnvironmentObjects } from "./environment-objects.ts";
import { environmentNetwork, type EnvironmentNetwork } from "./environment-network.ts";
import { createNetworkPool, type DockerNetworkPool } from "./network-pool.ts";
import { containerName, pooledNetworkName } from "./names.ts";
import { readEnvironments, type FoundEnvironment } from "./read-environments.ts";
import { createReservations, type Reservation } from "./reservations.ts";
import { createTakenSubnets } from "./taken-subnets.ts";

export type DockerWorkloadsOptions = {
  engine: Engine;
  /** Prefix and label of every object. */
  instance: string;
  /** The edge proxy's container, and its address in the platform's own network. */
  edge: { container: string; address: string };
  /** Each environment's network is cut from `range`, with this prefix length. */
  subnets: { range: Subnet; prefix: number };
  /** The machine's routes, CIDR. */
  routes: () => Promise<string[]>;
  pool: { size: () => number; idle: Pick<IdleQueue, "run">; refusal: () => Promise<string | null> };
  failpoint: Failpoint;
  logger: Pick<Logger, "warn" | "error">;
};

export type DockerWorkloads = Workloads & {
  edge: EdgeContainer;
  networkPool: NetworkPool & Pick<DockerNetworkPool, "whenIdle">;
};

const NODE = "local";
/** Of the subnets; the pool leaves the rest to environments. */
const POOL_SHARE = 0.5;

/** Workloads on one Docker engine: a network an environment, a container a service. */
export function createDockerWorkloads(options: DockerWorkloadsOptions): DockerWorkloads {
  const { engine, instance, edge, failpoint, logger } = options;
  const taken = createTakenSubnets(options.subnets.range);
  const subnets = createSubnetAllocator(options.subnets.range, options.subnets.prefix, taken.has);
  const reservations = createReservations(instance, subnets);
  const objects = createEnvironmentObjects({ engine, instance, edge: edge.container, failpoint });
  let isObserved = false;

  const networkPool = createNetworkPool({
    ...options.pool,
    logger,
    refusal: async () => {
      const { used, total } = subnets.usage();
      return used >= total * POOL_SHARE ? "half of all subnets are in use" : options.pool.refusal();
    },
    make: makePooledNetwork,
    discard: discardPooledNetwork,
  });
  /** Names of networks of the pool that are being made or removed. */
  const changing = new Set<string>();

  async function makePooledNetwork(): Promise<EnvironmentNetwork> {
    const subnet = reservations.takeSubnet();
    const network = environmentNetwork(pooledNetworkName(instance, formatSubnet(subnet)), subnet);
    changing.add(network.name);
    try {
      await objects.makePooled(network);
      return network;
    } catch (error) {
      await discardPooledNetwork(network);
      throw error;
    } finally {
      changing.delete(network.name);
    }
  }

  async function discardPooledNetwork({ name, subnet }: EnvironmentNetwork): Promise<void> {
    changing.add(name);
    try {
      await objects.removeLoose(name);
    } catch (error) {
      logger.error({ err: error, network: name }, "cannot remove a network of the pool; trying again in a minute");
    }
    subnets.free(parseSubnet(subnet));
    changing.delete(name);
  }

  const nameOf = ({ env, service }: ServiceRef) => containerName(instance, env, service);

  /** A network of the pool has a way out, so only an environment with one may get it. */
  function reserve(env: string, services: readonly string[], fromPool: boolean): Reservation {
    const reservation = reservations.reserve(env, services, () => (fromPool ? networkPool.acquire() : null));
    networkPool.refill();
    return reservation;
  }

  async function look(): Promise<{ facts: EngineFacts; found: Map<string, FoundEnvironment> }> {
    const facts = await engine.observe();
    const found = readEnvironments(facts, instance);
    const proxy = facts.containers.find(({ name }) => name === edge.container);
    // A proxy that is gone cannot be attached: its own repair comes first.
    reservations.learn(found, {
      has: (name) => facts.networks.some((network) => network.name === name),
      isEdgeAttached: ({ name, edgeAddress }) => proxy === undefined || isAt(proxy, name, edgeAddress),
    });
    isObserved = true;
    return { facts, found };
  }

  /** The reservation as the engine has it; a platform that has just started must look first. */
  async function known(env: string): Promise<Reservation | undefined> {
    if (!isObserved && reservations.get(env) === undefined) await look();
    return reservations.get(env);
  }

  /** Notes the ranges that something else uses: foreign networks, leftovers of ours, and the machine's routes. */
  async function noteTakenSubnets(observed?: EngineFacts): Promise<void> {
    const [{ networks }, foreign, routed] = await Promise.all([
      observed ?? engine.observe(),
      engine.networks.foreignSubnets(),
      options.routes(),
    ]);
    // Read after the engine's answer, so that what was begun meanwhile is ours all the same.
    const own = new Set(networks.filter(({ name }) => isInUse(name)).map(({ subnet }) => subnet));
    const others = [...networks.map(({ subnet }) => subnet), ...foreign, ...routed];
    taken.note(others.filter((subnet) => !own.has(subnet)));
  }

  function isInUse(network: string): boolean {
    if (network === instance || networkPool.has(network) || changing.has(network)) return true;
    return reservations.all().some((reservation) => reservation.network.name === network);
  }

  return {
    edge: createEdgeContainer({ engine, instance, ...edge }),
    networkPool,
    info: async () => ({ kind: "Docker", version: (await engine.info()).version }),
    capacity() {
      const { used, total } = subnets.usage();
      return { environments: total - used };
    },
    ensureImage: (reference, signal) => engine.images.ensure(reference, signal),

    reserve({ env, services, egress, fromPool }) {
      const { network } = reserve(env, services, egress && fromPool);
      const containers = Object.fromEntries(services.map((service) => [service, nameOf({ env, service })]));
      return { network: network.name, containers };
    },

    async prepare({ env, egress }) {
      const reservation = reserve(env, [], egress);
      try {
        await objects.prepare(reservation, egress);
      } catch (error) {
        if (isPlatformError(error, "address_pool_exhausted")) await noteTakenSubnets();
        throw error;
      }
    },

    async place(spec): Promise<Placement> {
      const reservation = reserve(spec.env, [spec.service], spec.egress);
      const run = await objects.place(reservation, spec);
      return { node: NODE, address: reservation.addresses.get(spec.service) ?? "", port: spec.port, run };
    },

    async start(ref) {
      const reservation = await known(ref.env);
      if (reservation === undefined) return engine.containers.start(nameOf(ref));
      await objects.start(reservation, ref);
    },

    async remove(env, { requestsInFlight }) {
      const reservation = await known(env);
      if (reservation !== undefined) {
        await objects.remove(reservation, requestsInFlight);
        reservations.release(env);
        return;
      }
      // Without a network: only containers can be left.
      const found = (await look()).found.get(env);
      if (found === undefined) return;
      const names = [...found.leftovers.keys(), ...[...found.services.values()].map(({ name }) => name)];
      for (const name of names) await objects.removeContainer(name);
    },

    async observe() {
      const { found } = await look();
      return new Map([...found].map(([env, environment]) => [env, actual(environment, reservations.get(env))]));
    },

    async tidy() {
      const { facts } = await look();
      const proxy = facts.containers.find(({ name }) => name === edge.container);
      await networkPool.reconcile(({ name, edgeAddress }) => {
        const isThere = facts.networks.some((network) => network.name === name);
        return isThere && (proxy === undefined || isAt(proxy, name, edgeAddress));
      });
      const removed: string[] = [];
      for (const { name, labels } of facts.containers) {
        // The engine adapter does not show helpers that are at work: a killed platform left this one.
        if (labels[LABEL_ROLE] !== "helper") continue;
        await engine.containers.remove(name);
        removed.push(`container ${name}`);
      }
      for (const { name, labels } of facts.networks) {
        const isLoose = labels[LABEL_ENV] === undefined && labels[LABEL_ROLE] === "network" && !isInUse(name);
        if (!isLoose) continue;
        await objects.removeLoose(name);
        removed.push(`network ${name}`);
      }
      const present = facts.networks.filter(({ name }) => !removed.includes(`network ${name}`));
      await noteTakenSubnets({ ...facts, networks: present });
      networkPool.refill();
      return removed;
    },

    async inspect(ref) {
      const facts = await engine.containers.inspect(nameOf(ref));
      if (facts === null) return null;
      if (!isAppOf(facts.labels, instance, ref.env)) {
        throw new PlatformError(
          "protected_target",
          `Cannot touch container "${facts.name}": it is not part of environment "${ref.env}".`,
        );
      }
      const { state, exitCode, oomKilled, name: container } = facts;
      return { state, container, exitCode, oomKilled };
    },

    async *events(signal) {
      for await (const { action, container, env, network, time } of engine.events(signal)) {
        if (container === edge.container) {
          if (network !== null) networkPool.setAttached(network, action !== "disconnect");
          yield { action, env: "", time };
        } else if (env !== "") yield { action, env, time };
      }
    },

    logs: (ref, logOptions) => engine.containers.logs(nameOf(ref), logOptions),
    exec: (ref, command, limits) => engine.containers.exec(nameOf(ref), command, limits),
    execDetached: (ref, command) => engine.containers.execDetached(nameOf(ref), command),
    copyFromImage: (ref, image, folder) => engine.containers.copyFromImage(nameOf(ref), image, folder),

    async inject(ref, fault) {
      const name = nameOf(ref);
      if (fault === "kill") return engine.containers.kill(name, "SIGKILL");
      if (fault === "pause") return engine.containers.pause(name);
      const reservation = await known(ref.env);
      if (reservation !== undefined) await engine.networks.disconnect(reservation.network.name, name);
    },

    async revert(ref, fault) {
      if (fault === "pause") return objects.unpause(ref);
      await objects.reconnect(reserve(ref.env, [ref.service], true), ref);
    },
  };
}

/** What is there of one environment, in the terms of the planner. */
function actual(found: FoundEnvironment, reservation: Reservation | undefined): ActualEnvironment {
  const services = [...found.services].map(([service, container]) => {
    const network = reservation?.network.name ?? container.homeNetwork;
    const address = reservation?.addresses.get(service) ?? container.fixedAddresses[network] ?? "";
    const placement = { node: NODE, address, port: null, run: container.id };
    return [service, { state: container.state, connected: isAt(container, network, address), placement }] as const;
  });
  const prepared = reservation !== undefined && reservation.isMade && reservation.isEdgeAttached;
  return { prepared, services: Object.fromEntries(services), objects: found.objects };
}

/** Whether a container is on the network at this address. A container that does not run has an address yet to come. */
function isAt({ networks }: ContainerFacts, network: string, address: string): boolean {
  const there = networks[network];
  return there === address || there === "";
}
