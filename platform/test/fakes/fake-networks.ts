import { PlatformError } from "../../kernel/errors.ts";
import { isOurs } from "../../domain/environment/labels.ts";
import { overlaps, parseSubnet, readRange } from "../../domain/network/subnets.ts";
import type { NetworkEngine } from "../../workloads/docker/engine.ts";
import { assertAddressFree } from "./fake-containers.ts";
import { conflict, dropNetwork, emit, isUp, ownFakeContainer, ownFakeNetwork, type FakeState } from "./fake-state.ts";

/** Networks in memory. */
export function createFakeNetworks(state: FakeState): NetworkEngine {
  return {
    async create(spec) {
      const existing = state.networks.get(spec.name);
      if (existing !== undefined) {
        if (isOurs(existing.labels, state.instance) && existing.subnet === spec.subnet) return;
        throw conflict("create", "network", spec.name, "another one has that name; remove it first");
      }
      const subnet = parseSubnet(spec.subnet);
      for (const other of state.networks.values()) {
        const range = readRange(other.subnet);
        if (range === null || !overlaps(range, subnet)) continue;
        throw new PlatformError(
          "address_pool_exhausted",
          `Cannot create network "${spec.name}": ${spec.subnet} overlaps network "${other.name}"`,
        );
      }
      state.networks.set(spec.name, { ...structuredClone(spec), id: state.nextId() });
    },

    async remove(name) {
      if (state.networks.has(name)) dropNetwork(state, ownFakeNetwork(state, "remove", name));
    },

    async connect(networkName, containerName, address, aliases = []) {
      const network = ownFakeNetwork(state, "connect to", networkName);
      const container = ownFakeContainer(state, "connect", containerName);
      const present = container.networks.get(networkName);
      if (!isUp(container)) {
        container.networks.set(networkName, { address, aliases: [...aliases], networkId: null });
        return;
      }
      if (present?.address === address) return;
      assertAddressFree(state, networkName, address, container);
      if (present !== undefined) emit(state, "disconnect", container, networkName);
      container.networks.set(networkName, { address, aliases: [...aliases], networkId: network.id });
      emit(state, "connect", container, networkName);
    },

    async disconnect(networkName, containerName) {
      if (!state.networks.has(networkName) || !state.containers.has(containerName)) return;
      ownFakeNetwork(state, "disconnect from", networkName);
      const container = ownFakeContainer(state, "disconnect", containerName);
      if (container.networks.delete(networkName)) emit(state, "disconnect", container, networkName);
    },

    subnets: async () => [...state.networks.values()].map(({ name: network, subnet }) => ({ network, subnet })),
  };
}
