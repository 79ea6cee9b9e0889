import { PlatformError } from "../../kernel/errors.ts";
import { parseSubnet, type SubnetAllocator } from "../../domain/network/subnets.ts";
import { environmentNetwork, freeAddress, type EnvironmentNetwork } from "./environment-network.ts";
import { networkName } from "./names.ts";
import type { FoundEnvironment } from "./read-environments.ts";

/** The network and the addresses of one environment, and what is known of them. */
export type Reservation = {
  env: string;
  network: EnvironmentNetwork;
  isPooled: boolean;
  /** Whether the network is there, and whether the edge proxy is on it. */
  isMade: boolean;
  isEdgeAttached: boolean;
  /** By service. */
  addresses: Map<string, string>;
  /** As in FoundEnvironment. */
  leftovers: ReadonlyMap<string, string>;
};

/**
 * Who has which network. In memory: `learn` reads it back from the engine, so a restart forgets nothing that was made.
 */
export type Reservations = {
  get(env: string): Reservation | undefined;
  all(): Reservation[];
  /** The environment's reservation, made now where there is none; `pooled` offers a network that is ready. */
  reserve(env: string, services: readonly string[], pooled: () => EnvironmentNetwork | null): Reservation;
  /** A subnet for a network of the pool. `address_pool_exhausted` when there is none. */
  takeSubnet(): ReturnType<typeof parseSubnet>;
  /** Gives an environment's network back. */
  release(env: string): void;
  /** Takes over what the engine has. */
  learn(found: ReadonlyMap<string, FoundEnvironment>, isEdgeAttached: (network: EnvironmentNetwork) => boolean): void;
};

export function createReservations(instance: string, subnets: SubnetAllocator): Reservations {
  const reservations = new Map<string, Reservation>();
  /** Environments that `learn` found, and that no `reserve` has asked for since. */
  const learned = new Set<string>();

  function takeSubnet() {
    const subnet = subnets.take();
    if (subnet !== null) return subnet;
    const { used, total } = subnets.usage();
    throw new PlatformError(
      "address_pool_exhausted",
      `Cannot create an environment: ${used} of ${total} subnets are in use. Destroy some environments or enlarge SUBNET_POOL.`,
    );
  }

  function release(env: string): void {
    const reservation = reservations.get(env);
    if (reservation === undefined) return;
    subnets.free(parseSubnet(reservation.network.subnet));
    reservations.delete(env);
    learned.delete(env);
  }

  function learnOne(found: FoundEnvironment): void {
    const { env, network } = found;
    if (network === null) return;
    const subnet = parseSubnet(network.subnet);
    subnets.claim(subnet);
    learned.add(env);
    const fixed = [...found.services].map(([service, container]) => {
      const address = container.fixedAddresses[network.name] ?? container.networks[network.name] ?? "";
      return [service, address] as const;
    });
    reservations.set(env, {
      env,
      network: environmentNetwork(network.name, subnet),
      isPooled: network.name !== networkName(instance, env),
      isMade: true,
      isEdgeAttached: false,
      addresses: new Map(fixed.filter(([, address]) => address !== "")),
      leftovers: new Map(),
    });
  }

  return {
    get: (env) => reservations.get(env),
    all: () => [...reservations.values()],
    reserve(env, services, pooled) {
      learned.delete(env);
      let reservation = reservations.get(env);
      if (reservation === undefined) {
        const ready = pooled();
        const network = ready ?? environmentNetwork(networkName(instance, env), takeSubnet());
        const isPooled = ready !== null;
        const known = { isPooled, isMade: isPooled, isEdgeAttached: isPooled };
        reservation = { env, network, ...known, addresses: new Map(), leftovers: new Map() };
        reservations.set(env, reservation);
      }
      const { network, addresses } = reservation;
      for (const service of services)
        if (!addresses.has(service)) addresses.set(service, freeAddress(network, addresses.values()));
      return reservation;
    },
    takeSubnet,
    release,
    learn(found, isEdgeAttached) {
      for (const env of learned) if (!found.has(env)) release(env);
      for (const environment of found.values()) if (!reservations.has(environment.env)) learnOne(environment);
      for (const reservation of reservations.values()) {
        const environment = found.get(reservation.env);
        // A network of the pool bears no environment's label: until it has a container, only the reservation knows it.
        if (environment === undefined) continue;
        if (environment.network !== null || !reservation.isPooled)
          reservation.isMade = environment.network?.name === reservation.network.name;
        reservation.isEdgeAttached = reservation.isMade && isEdgeAttached(reservation.network);
        reservation.leftovers = environment.leftovers;
      }
    },
  };
}
