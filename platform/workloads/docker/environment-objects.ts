import { environmentLabels, pooledNetworkLabels } from "../../domain/environment/labels.ts";
import { isPlatformError, PlatformError, type ErrorCode } from "../../kernel/errors.ts";
import { withFailpoint, type Failpoint } from "../../kernel/failpoint.ts";
import type { ServiceRef, ServiceSpec } from "../workloads.ts";
import type { Engine } from "./engine.ts";
import type { EnvironmentNetwork } from "./environment-network.ts";
import { containerName } from "./names.ts";
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

  async function createNetwork(network: EnvironmentNetwork, labels: Record<string, string>, egress: boolean) {
    const { name, subnet, gateway } = network;
    await step("create-network", () => networks.create({ name, subnet, gateway, labels, internal: !egress }));
  }

  /** This line connects Nginx to a network. A missing container of Nginx is no conflict with what the caller asked. */
  async function connectEdge({ name, edgeAddress }: EnvironmentNetwork): Promise<void> {
    try {
      await step("connect-edge", () => networks.connect(name, edge, edgeAddress));
    } catch (error) {
      if (!isPlatformError(error, "conflict")) throw error;
      const detail = "Cannot reach Nginx: its container is not there. Start it with `make up`.";
      throw new PlatformError("ingress_unavailable", detail, { cause: error });
    }
  }

  async function attachEdge(reservation: Reservation): Promise<void> {
    await connectEdge(reservation.network);
    reservation.isEdgeAttached = true;
  }

  /** Makes the network; where it is there already, the edge proxy is put back on it. */
  async function prepare(reservation: Reservation, egress: boolean): Promise<void> {
    if (reservation.isMade) {
      if (!reservation.isEdgeAttached) await attachEdge(reservation);
      return;
    }
    const { env, network, isPooled } = reservation;
    const labels = isPooled ? pooledNetworkLabels(instance) : environmentLabels(instance, env, "network");
    await createNetwork(network, labels, egress);
    reservation.isMade = true;
    reservation.isEdgeAttached = false;
  }

  /** Makes the container and returns its id. Containers in its way go first. */
  async function place(reservation: Reservation, spec: ServiceSpec): Promise<string> {
    const { network, addresses, leftovers } = reservation;
    const { env, service } = spec;
    const name = nameOf(spec);
    for (const [leftover, of] of leftovers)
      if (of === service) await step("remove-container", () => containers.remove(leftover));
    const create = () =>
      containers.create({
        name,
        image: spec.image,
        labels: environmentLabels(instance, env, "app", service),
        env: spec.variables,
        command: spec.command,
        network: network.name,
        address: addresses.get(service) ?? "",
        aliases: [service],
        resources: spec.resources,
        internal: !spec.egress,
      });
    try {
      return await step("create-container", create);
    } catch (error) {
      // An older container of this service, made of another spec.
      if (!isPlatformError(error, "conflict")) throw error;
      await step("remove-container", () => containers.remove(name));
      return step("create-container", create);
    }
  }

  async function start(reservation: Reservation, ref: ServiceRef): Promise<void> {
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
  }

  async function isGone(network: string): Promise<boolean> {
    // An engine that does not answer has said nothing of the network.
    const facts = await engine.observe().catch(() => null);
    return facts !== null && !facts.networks.some(({ name }) => name === network);
  }

  /**
   * Kills and removes the containers, takes the edge proxy off the network and removes it. With requests in flight the
   * proxy leaves last: a request ends with its container, and would hang without the proxy.
   */
  async function remove(reservation: Reservation, requestsInFlight: boolean): Promise<void> {
    const { env, network, addresses, leftovers } = reservation;
    const names = [
      ...new Set([...leftovers.keys(), ...[...addresses.keys()].map((service) => nameOf({ env, service }))]),
    ];
    const kill = () => together(names.map(killContainer));
    const removeAll = () => together(names.map(removeContainer));
    const leave = () =>
      step("disconnect-edge", () => tolerating(["protected_target"], networks.disconnect(network.name, edge)));
    if (requestsInFlight) {
      await kill();
      await together([removeAll(), leave()]);
    } else {
      await together([kill().then(removeAll), leave()]);
    }
    await removeNetwork(network.name);
    reservation.isMade = false;
    reservation.isEdgeAttached = false;
  }

  const killContainer = (name: string) =>
    step("kill-container", () => tolerating(["protected_target", "conflict"], containers.killProcesses(name)));
  const removeContainer = (name: string) =>
    step("remove-container", () => tolerating(["protected_target"], containers.remove(name)));
  const removeNetwork = (name: string) =>
    step("remove-network", () => tolerating(["protected_target"], networks.remove(name)));

  return {
    prepare,
    place,
    start,
    remove,
    unpause: (ref: ServiceRef) => step("unpause-container", () => containers.unpause(nameOf(ref))),

    /** Puts a container back on its network, at its address and under its name. */
    async reconnect({ network, addresses }: Reservation, ref: ServiceRef): Promise<void> {
      const address = addresses.get(ref.service) ?? "";
      await step("connect-container", () => networks.connect(network.name, nameOf(ref), address, [ref.service]));
    },

    /** Makes a network of the pool, with the edge proxy on it. */
    async makePooled(network: EnvironmentNetwork): Promise<void> {
      await createNetwork(network, pooledNetworkLabels(instance), true);
      await connectEdge(network);
    },

    /** Removes a network that no environment has: the edge proxy leaves it first. */
    async removeLoose(name: string): Promise<void> {
      await step("disconnect-edge", () => tolerating(["protected_target"], networks.disconnect(name, edge)));
      await removeNetwork(name);
    },

    removeContainer,
  };
}

/** Waits until all have ended, so that no effect runs beside what the caller does next; throws the first failure. */
async function together(effects: Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(effects);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** An object that is gone (`conflict`), or whose name another owner has taken, needs no removal. */
async function tolerating(codes: ErrorCode[], removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!codes.some((code) => isPlatformError(error, code))) throw error;
  }
}
