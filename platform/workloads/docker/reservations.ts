import { PlatformError } from "../../kernel/errors.ts";
import { parseSubnet, readRange, type SubnetAllocator } from "../../domain/network/subnets.ts";
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
  learn(found: ReadonlyMap<string, FoundEnvironment>, networks: NetworkView): void;
};

/** Which networks there are, and which the edge proxy is on. */
export type NetworkView = { has(name: string): boolean; isEdgeAttached(network: EnvironmentNetwork): boolean };

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
    const subnet = network === null ? null : readRange(network.subnet);
    if (network === null || subnet === null) return;
    subnets.claim(subnet);
    learned.add(env);
    const home = environmentNetwork(network.name, subnet);
    const fixed = [...found.services].map(([service, container]) => {
      const address = container.fixedAddresses[network.name] ?? container.networks[network.name] ?? "";
      return [service, address] as const;
    });
    const addresses = new Map(fixed.filter(([, address]) => address !== ""));
    // Docker forgets the address of a container that is disconnected: it gets the first free one, as when it was made.
    for (const [service, address] of fixed)
      if (address === "") addresses.set(service, freeAddress(home, addresses.values()));
    reservations.set(env, {
      env,
      network: home,
      isPooled: network.name !== networkName(instance, env),
      isMade: true,
      isEdgeAttached: false,
      addresses,
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
    learn(found, networks) {
      for (const env of learned) if (!found.has(env)) release(env);
      for (const environment of found.values()) if (!reservations.has(environment.env)) learnOne(environment);
      for (const reservation of reservations.values()) {
        const environment = found.get(reservation.env);
        reservation.isMade = networks.has(reservation.network.name);
        reservation.isEdgeAttached = reservation.isMade && networks.isEdgeAttached(reservation.network);
        reservation.leftovers = environment?.leftovers ?? new Map();
      }
    },
  };
}
