import { createSubnetAllocator, overlaps, parseSubnet, readRange, type Subnet } from "../../domain/network/subnets.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { environmentNetwork, freeAddress, networkName, type EnvironmentNetwork } from "./environment-network.ts";
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
};

/** The range that every network is cut from, and the prefix length of each. */
export type SubnetOptions = { range: Subnet; prefix: number };

/**
 * Which environment has which network. In memory: `learn` reads it back from the engine, so that a restart forgets
 * nothing that was made.
 */
export function createReservations(instance: string, { range: pool, prefix }: SubnetOptions) {
  const reservations = new Map<string, Reservation>();
  /** Ranges of the pool that others use, as last seen. */
  let taken: Subnet[] = [];
  const subnets = createSubnetAllocator(pool, prefix, (subnet) => taken.some((range) => overlaps(range, subnet)));

  function takeSubnet(): Subnet {
    const subnet = subnets.take();
    if (subnet !== null) return subnet;
    const { used, total } = subnets.usage();
    const detail = `Cannot create an environment: ${used} of ${total} subnets are in use. Destroy some environments or enlarge SUBNET_POOL.`;
    throw new PlatformError("address_pool_exhausted", detail);
  }

  function add(env: string, network: EnvironmentNetwork, isMade: boolean): Reservation {
    const isPooled = network.name !== networkName(instance, env);
    const reservation = { env, network, isPooled, isMade, isEdgeAttached: isMade, addresses: new Map() };
    reservations.set(env, reservation);
    return reservation;
  }

  function learnOne(env: string, { network, services }: FoundEnvironment): void {
    const subnet = network === null ? null : readRange(network.subnet);
    if (network === null || subnet === null) return;
    subnets.claim(subnet);
    const reservation = add(env, environmentNetwork(network.name, subnet), true);
    for (const [service, { networks }] of services) {
      const address = networks[network.name] ?? "";
      if (address !== "") reservation.addresses.set(service, address);
    }
    // Docker forgets the address of a container that is disconnected: it gets the first free one, as when it was made.
    assign(reservation, services.keys());
  }

  function assign({ network, addresses }: Reservation, services: Iterable<string>): void {
    for (const service of services)
      if (!addresses.has(service)) addresses.set(service, freeAddress(network, addresses.values()));
  }

  return {
    get: (env: string) => reservations.get(env),
    all: () => [...reservations.values()],

    /** The environment's reservation, made now where there is none; `pooled` offers a network that is ready. */
    reserve(env: string, services: readonly string[], pooled: () => EnvironmentNetwork | null): Reservation {
      let reservation = reservations.get(env);
      if (reservation === undefined) {
        const ready = pooled();
        const network = ready ?? environmentNetwork(networkName(instance, env), takeSubnet());
        reservation = add(env, network, ready !== null);
      }
      assign(reservation, services);
      return reservation;
    },

    /** Gives an environment's network back. */
    release(env: string): void {
      const reservation = reservations.get(env);
      if (reservation === undefined) return;
      subnets.free(parseSubnet(reservation.network.subnet));
      reservations.delete(env);
    },

    /** Takes over what the engine has. */
    learn(found: ReadonlyMap<string, FoundEnvironment>, networks: NetworkView): void {
      for (const [env, environment] of found) if (!reservations.has(env)) learnOne(env, environment);
      for (const reservation of reservations.values()) {
        reservation.isMade = networks.has(reservation.network);
        reservation.isEdgeAttached = networks.isIntact(reservation.network);
      }
    },

    /** A subnet for a network of the pool. `address_pool_exhausted` when there is none. */
    takeSubnet,
    freeSubnet: (subnet: string) => subnets.free(parseSubnet(subnet)),
    usage: () => subnets.usage(),

    /**
     * Notes the ranges that others use. One that covers the whole pool, such as a VPN's route to 10.0.0.0/8, takes
     * nothing: the kernel prefers the more specific route, which is ours.
     */
    noteTaken(ranges: readonly string[]): void {
      const read = ranges.map(readRange).filter((range) => range !== null);
      taken = read.filter((range) => range.prefix > pool.prefix && overlaps(range, pool));
    },
  };
}

/** Which networks there are, and whether one is there with the edge proxy on it. */
export type NetworkView = {
  has(network: EnvironmentNetwork): boolean;
  isIntact(network: EnvironmentNetwork): boolean;
};
