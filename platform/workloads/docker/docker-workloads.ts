import { isAppOf, LABEL_ENV, LABEL_ROLE } from "../../domain/environment/labels.ts";
import { formatSubnet } from "../../domain/network/subnets.ts";
import { isPlatformError, PlatformError } from "../../kernel/errors.ts";
import type { Failpoint } from "../../kernel/failpoint.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { ActualEnvironment, EdgeContainer, NetworkPool, ServiceRef, Workloads } from "../workloads.ts";
import { createEdgeContainer } from "./edge-container.ts";
import type { ContainerFacts, Engine } from "./engine.ts";
import { containerName, environmentNetwork, pooledNetworkName } from "./environment-network.ts";
import { createEnvironmentObjects } from "./environment-objects.ts";
import { createNetworkPool, type NetworkPoolOptions } from "./network-pool.ts";
import { readEnvironments, type FoundEnvironment } from "./read-environments.ts";
import { createReservations, type NetworkView, type Reservation, type SubnetOptions } from "./reservations.ts";

export type DockerWorkloadsOptions = {
  engine: Engine;
  /** Prefix and label of every object. */
  instance: string;
  /** The edge proxy's container, and its address in the platform's own network. */
  edge: { container: string; address: string };
  subnets: SubnetOptions;
  /** The machine's routes, CIDR. */
  routes: () => Promise<string[]>;
  pool: Pick<NetworkPoolOptions, "size" | "idle" | "refusal">;
  failpoint: Failpoint;
  logger: Pick<Logger, "warn" | "error">;
};

export type DockerWorkloads = Workloads & {
  edge: EdgeContainer;
  networkPool: NetworkPool & { whenIdle(): Promise<void> };
};

const NODE = "local";
/** Of the subnets; the pool leaves the rest to environments. */
const POOL_SHARE = 0.5;

/** Workloads on one Docker engine: a network an environment, a container a service. */
export function createDockerWorkloads(options: DockerWorkloadsOptions): DockerWorkloads {
  const { engine, instance, edge, failpoint, logger } = options;
  const { containers } = engine;
  const reservations = createReservations(instance, options.subnets);
  const objects = createEnvironmentObjects({ engine, instance, edge: edge.container, failpoint });
  /** As last seen. */
  let found: ReadonlyMap<string, FoundEnvironment> = new Map();

  const networkPool = createNetworkPool({
    ...options.pool,
    logger,
    async refusal() {
      const { used, total } = reservations.usage();
      return used >= total * POOL_SHARE ? "half of all subnets are in use" : options.pool.refusal();
    },
    plan() {
      const subnet = reservations.takeSubnet();
      return environmentNetwork(pooledNetworkName(instance, formatSubnet(subnet)), subnet);
    },
    make: objects.makePooled,
    async discard({ name, subnet }) {
      try {
        await objects.removeLoose(name);
      } catch (error) {
        logger.error({ err: error, network: name }, "cannot remove a network of the pool; trying again in a minute");
      }
      reservations.freeSubnet(subnet);
    },
  });

  const nameOf = ({ env, service }: ServiceRef) => containerName(instance, env, service);

  /** A network of the pool has a way out, so only an environment with one may get it. */
  function reserve(env: string, services: readonly string[], fromPool: boolean): Reservation {
    const reservation = reservations.reserve(env, services, () => (fromPool ? networkPool.acquire() : null));
    networkPool.refill();
    return reservation;
  }

  /** Looks at the engine, and takes over what it has. */
  async function look() {
    const facts = await engine.observe();
    found = readEnvironments(facts, instance);
    const proxy = facts.containers.find(({ name }) => name === edge.container);
    const present = new Set(facts.networks.map(({ name }) => name));
    const view: NetworkView = {
      has: ({ name }) => present.has(name),
      // A proxy that is gone cannot be attached: its own repair comes first.
      isIntact: ({ name, edgeAddress }) => present.has(name) && (proxy === undefined || isAt(proxy, name, edgeAddress)),
    };
    reservations.learn(found, view);
    return { facts, view };
  }

  /** The reservation; one that is not known may have been made by a former platform. */
  async function known(env: string): Promise<Reservation | undefined> {
    if (reservations.get(env) === undefined) await look();
    return reservations.get(env);
  }

  /** Notes the ranges that something else uses: foreign networks, leftovers among ours, and the machine's routes. */
  async function noteTakenSubnets(): Promise<void> {
    const [ranges, routed] = await Promise.all([engine.networks.subnets(), options.routes()]);
    // Asked after the engine's answer, so that a network that was begun meanwhile counts as in use.
    const own = new Set(ranges.filter(({ network }) => isInUse(network)).map(({ subnet }) => subnet));
    const all = [...ranges.map(({ subnet }) => subnet), ...routed];
    reservations.noteTaken(all.filter((range) => !own.has(range)));
  }

  function isInUse(network: string): boolean {
    if (network === instance || networkPool.has(network)) return true;
    return reservations.all().some((reservation) => reservation.network.name === network);
  }

  return {
    edge: createEdgeContainer({ engine, instance, ...edge }),
    networkPool,
    info: async () => ({ kind: "Docker", version: (await engine.info()).version }),
    capacity() {
      const { used, total } = reservations.usage();
      return { environments: total - used };
    },
    ensureImage: (reference, signal) => engine.images.ensure(reference, signal),

    reserve({ env, services, egress, fromPool }) {
      const { network } = reserve(env, services, egress && fromPool);
      const names = services.map((service) => [service, nameOf({ env, service })] as const);
      return { network: network.name, containers: Object.fromEntries(names) };
    },

    async prepare({ env, egress }) {
      try {
        await objects.prepare(reserve(env, [], egress), egress);
      } catch (error) {
        if (isPlatformError(error, "address_pool_exhausted")) await noteTakenSubnets();
        throw error;
      }
    },

    async place(spec) {
      const { env, service, port } = spec;
      const reservation = reserve(env, [service], spec.egress);
      const leftovers = [...(found.get(env)?.leftovers ?? [])].filter(([, of]) => of === service);
      const inTheWay = leftovers.map(([name]) => name);
      const run = await objects.place(reservation, spec, inTheWay);
      return { node: NODE, address: reservation.addresses.get(service) ?? "", port, run };
    },

    async start(ref) {
      const reservation = await known(ref.env);
      if (reservation === undefined) return containers.start(nameOf(ref));
      await objects.start(reservation, ref);
    },

    async remove(env, { requestsInFlight }) {
      const reservation = await known(env);
      const services = [...(reservation?.addresses.keys() ?? [])].map((service) => nameOf({ env, service }));
      const names = new Set([...services, ...(found.get(env)?.leftovers.keys() ?? [])]);
      await objects.remove([...names], reservation?.network.name ?? null, requestsInFlight);
      reservations.release(env);
    },

    async observe() {
      await look();
      return new Map([...found].map(([env, environment]) => [env, actual(environment, reservations.get(env))]));
    },

    async tidy() {
      const { facts, view } = await look();
      await networkPool.reconcile(view.isIntact);
      // The engine does not show helpers that are at work: a killed platform left these.
      const helpers = facts.containers.filter(({ labels }) => labels[LABEL_ROLE] === "helper");
      for (const { name } of helpers) await containers.remove(name);
      const loose = facts.networks.filter(
        ({ name, labels }) => labels[LABEL_ENV] === undefined && labels[LABEL_ROLE] === "network" && !isInUse(name),
      );
      for (const { name } of loose) await objects.removeLoose(name);
      await noteTakenSubnets();
      networkPool.refill();
      return [...helpers.map(({ name }) => `container ${name}`), ...loose.map(({ name }) => `network ${name}`)];
    },

    async inspect(ref) {
      const facts = await containers.inspect(nameOf(ref));
      if (facts === null) return null;
      const { name: container, labels, state, exitCode, oomKilled } = facts;
      if (isAppOf(labels, instance, ref.env)) return { state, container, exitCode, oomKilled };
      const detail = `Cannot touch container "${container}": it is not part of environment "${ref.env}".`;
      throw new PlatformError("protected_target", detail);
    },

    async *events(signal) {
      for await (const { action, container, env, network, time } of engine.events(signal)) {
        if (container === edge.container) {
          if (network !== null) networkPool.setAttached(network, action !== "disconnect");
          yield { action, env: "", time };
        } else if (env !== "") yield { action, env, time };
      }
    },

    logs: (ref, logOptions) => containers.logs(nameOf(ref), logOptions),
    exec: (ref, command, limits) => containers.exec(nameOf(ref), command, limits),
    execDetached: (ref, command) => containers.execDetached(nameOf(ref), command),
    copyFromImage: (ref, image, folder) => containers.copyFromImage(nameOf(ref), image, folder),

    async inject(ref, fault) {
      const name = nameOf(ref);
      if (fault === "kill") return containers.kill(name, "SIGKILL");
      if (fault === "pause") return containers.pause(name);
      const reservation = await known(ref.env);
      if (reservation !== undefined) await engine.networks.disconnect(reservation.network.name, name);
    },

    async revert(ref, fault) {
      if (fault === "pause") return objects.unpause(ref);
      await objects.reconnect(reserve(ref.env, [ref.service], true), ref);
    },
  };
}

/** The parts of one environment that are there, in the planner's terms. */
function actual(found: FoundEnvironment, reservation: Reservation | undefined): ActualEnvironment {
  const services = [...found.services].map(([service, container]) => {
    const network = reservation?.network.name ?? container.homeNetwork;
    const address = reservation?.addresses.get(service) ?? container.networks[network] ?? "";
    const placement = address === "" ? null : { node: NODE, address, port: null, run: container.id };
    return [service, { state: container.state, connected: isAt(container, network, address), placement }] as const;
  });
  const prepared = reservation?.isEdgeAttached ?? false;
  return { prepared, services: Object.fromEntries(services), objects: found.objects };
}

/** Whether a container is on the network at this address, or will get one there when it starts. */
function isAt({ networks }: ContainerFacts, network: string, address: string): boolean {
  return networks[network] === address || networks[network] === "";
}
