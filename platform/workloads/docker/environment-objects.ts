import { environmentLabels, pooledNetworkLabels } from "../../domain/environment/labels.ts";
import { isPlatformError, type ErrorCode } from "../../kernel/errors.ts";
import { withFailpoint, type Failpoint } from "../../kernel/failpoint.ts";
import type { ServiceRef, ServiceSpec } from "../workloads.ts";
import { connectNginx } from "./connect-nginx.ts";
import type { Engine } from "./engine.ts";
import { containerName, type EnvironmentNetwork } from "./environment-network.ts";
import type { Reservation } from "./reservations.ts";

type Options = { engine: Engine; instance: string; edge: string; failpoint: Failpoint };

/**
 * The side effects on one environment's containers and network, each between its failpoints. What does not depend on
 * each other runs at once: Nginx joins the network while the container starts, since both take Docker long.
 */
export function createEnvironmentObjects({ engine, instance, edge, failpoint }: Options) {
  const { containers, networks } = engine;
  const step = <T>(name: string, effect: () => Promise<T>): Promise<T> => withFailpoint(failpoint, name, effect);
  const nameOf = ({ env, service }: ServiceRef) => containerName(instance, env, service);

  const createNetwork = (network: EnvironmentNetwork, labels: Record<string, string>, internal: boolean) => {
    const { name, subnet, gateway } = network;
    return step("create-network", () => networks.create({ name, subnet, gateway, labels, internal }));
  };
  const removeContainer = (name: string) => step("remove-container", () => containers.remove(name));
  const leave = (network: string) => stepIfOurs("disconnect-edge", () => networks.disconnect(network, edge));
  const removeNetwork = (name: string) => stepIfOurs("remove-network", () => networks.remove(name));

  /** An object whose name another owner has taken needs no removal; a container that is gone (`conflict`) no kill. */
  async function stepIfOurs(name: string, effect: () => Promise<void>, tolerated?: ErrorCode): Promise<void> {
    try {
      await step(name, effect);
    } catch (error) {
      if (!isPlatformError(error, "protected_target") && !isPlatformError(error, tolerated ?? "protected_target"))
        throw error;
    }
  }

  const connectEdge = (network: EnvironmentNetwork) =>
    step("connect-edge", () => connectNginx(networks, edge, network));

  async function attachEdge(reservation: Reservation): Promise<void> {
    await connectEdge(reservation.network);
    reservation.isEdgeAttached = true;
  }

  /** Makes the network; where it is there already, the edge proxy is put back on it. */
  async function prepare(reservation: Reservation, egress: boolean): Promise<void> {
    if (!reservation.isMade) {
      await createNetwork(reservation.network, environmentLabels(instance, reservation.env, "network"), !egress);
      reservation.isMade = true;
      reservation.isEdgeAttached = false;
    } else if (!reservation.isEdgeAttached) await attachEdge(reservation);
  }

  async function isGone(network: string): Promise<boolean> {
    // An engine that does not answer has said nothing of the network.
    const facts = await engine.observe().catch(() => null);
    return facts !== null && !facts.networks.some(({ name }) => name === network);
  }

  return {
    prepare,

    /** Makes the container and returns its id. Containers in its way go first: `leftovers`, and one of its own name. */
    async place({ network, addresses }: Reservation, spec: ServiceSpec, leftovers: string[]): Promise<string> {
      const { env, service, image, command, resources, egress } = spec;
      const name = nameOf(spec);
      const labels = environmentLabels(instance, env, "app", service);
      const place = { network: network.name, address: addresses.get(service) ?? "", aliases: [service] };
      const container = { name, image, labels, env: spec.variables, command, ...place, resources, internal: !egress };
      const create = () => step("create-container", () => containers.create(container));
      for (const leftover of leftovers) await removeContainer(leftover);
      try {
        return await create();
      } catch (error) {
        if (!isPlatformError(error, "conflict")) throw error;
        await removeContainer(name);
        return create();
      }
    },

    async start(reservation: Reservation, ref: ServiceRef): Promise<void> {
      const begin = () => step("start-container", () => containers.start(nameOf(ref)));
      try {
        await together([begin(), ...(reservation.isEdgeAttached ? [] : [attachEdge(reservation)])]);
      } catch (error) {
        // A network of the pool may have been removed behind the platform's back.
        if (!reservation.isPooled || !(await isGone(reservation.network.name))) throw error;
        reservation.isMade = false;
        await prepare(reservation, true);
        await together([begin(), attachEdge(reservation)]);
      }
    },

    /**
     * Kills and removes the containers, takes the edge proxy off the network and removes it. With requests in flight
     * the proxy leaves last: a request ends with its container, and would hang without the proxy.
     */
    async remove(names: readonly string[], network: string | null, requestsInFlight: boolean): Promise<void> {
      const each = (name: string, effect: (container: string) => Promise<void>, tolerated?: ErrorCode) =>
        together(names.map((container) => stepIfOurs(name, () => effect(container), tolerated)));
      const kill = () => each("kill-container", (name) => containers.kill(name, "SIGKILL"), "conflict");
      const removeAll = () => each("remove-container", containers.remove);
      const leaveAll = async () => network !== null && leave(network);
      if (requestsInFlight) await kill();
      await together([requestsInFlight ? removeAll() : kill().then(removeAll), leaveAll()]);
      if (network !== null) await removeNetwork(network);
    },

    unpause: (ref: ServiceRef) => step("unpause-container", () => containers.unpause(nameOf(ref))),

    /** Puts a container back on its network, at its address and under its name. */
    reconnect({ network, addresses }: Reservation, ref: ServiceRef): Promise<void> {
      const address = addresses.get(ref.service) ?? "";
      return step("connect-container", () => networks.connect(network.name, nameOf(ref), address, [ref.service]));
    },

    /** Makes a network of the pool, with the edge proxy on it. */
    async makePooled(network: EnvironmentNetwork): Promise<void> {
      await createNetwork(network, pooledNetworkLabels(instance), false);
      await connectEdge(network);
    },

    /** Removes a network that no environment has: the edge proxy leaves it first. */
    async removeLoose(network: string): Promise<void> {
      await leave(network);
      await removeNetwork(network);
    },
  };
}

/** Waits until all have ended, so that no effect runs beside what the caller does next; throws the first failure. */
async function together(effects: Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(effects);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
