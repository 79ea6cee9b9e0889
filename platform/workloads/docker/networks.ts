import { isOurs } from "../../domain/environment/labels.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Docker, DockerClient } from "./client.ts";
import { buildEndpoint, buildNetworkBody } from "./container-spec.ts";
import type { NetworkEngine, NetworkSpec } from "./engine.ts";
import { statusOf } from "./errors.ts";
import { ABSENT, findContainer, findNetwork, ifOwn, withOwn } from "./own-objects.ts";

/** A container may be attached between looking and removing; not for ever. */
const REMOVE_ATTEMPTS = 3;

/** What the engine answers where an address, a name or a network is in use. */
const IN_USE: ReadonlySet<number | null> = new Set([403, 409]);

/** Networks and the containers on them, on a Docker engine. */
export function createDockerNetworks(client: DockerClient): NetworkEngine {
  async function create(spec: NetworkSpec): Promise<void> {
    const options = { _query: {}, _body: buildNetworkBody(spec) } as unknown as Parameters<Docker["createNetwork"]>[0];
    const codes = { 403: "address_pool_exhausted", 409: "conflict" } as const;
    const action = `create network "${spec.name}" with subnet ${spec.subnet}`;
    try {
      const { id } = await client.call(action, (docker) => docker.createNetwork(options), { lane: "network", codes });
      client.owned.network.set(spec.name, id);
    } catch (error) {
      // The engine checks the name before the subnet, but not in one go: both may mean that it is there already.
      if (!IN_USE.has(statusOf(error))) throw error;
      const existing = await findNetwork(client, spec.name);
      if (existing === null) throw error;
      const isSame = existing.IPAM?.Config?.[0]?.["Subnet"] === spec.subnet;
      if (isSame && isOurs(existing.Labels ?? {}, client.instance)) return;
      const detail = `Cannot create network "${spec.name}": another one has that name; remove it first`;
      throw new PlatformError("conflict", detail, { cause: error });
    }
  }

  async function remove(name: string): Promise<void> {
    const options = { lane: "network", codes: { 403: "conflict" } } as const;
    const removal = (id: string) =>
      client.call(`remove network "${name}"`, (docker) => docker.getNetwork(id).remove(), options);
    for (let attempt = 1; ; attempt++) {
      try {
        await ifOwn(client, "remove", "network", name, removal);
        break;
      } catch (error) {
        if (statusOf(error) === 404) break;
        if (!IN_USE.has(statusOf(error)) || attempt === REMOVE_ATTEMPTS) throw error;
      }
      await detachAll(name);
    }
    client.owned.network.delete(name);
  }

  /** Stopped containers do not keep a network; running and paused ones, and endpoints a crash left, do. */
  async function detachAll(name: string): Promise<void> {
    const found = await findNetwork(client, name);
    const attached = Object.entries(found?.Containers ?? {});
    // An endpoint that was left has no container, and is addressed by its name.
    const names = attached.map(([id, endpoint]) => (id.startsWith("ep-") ? endpoint.Name : id));
    await Promise.all(names.map((container) => detach(found?.Id ?? name, name, container).catch(ignoreStatus)));
  }

  async function detach(id: string, name: string, container: string): Promise<void> {
    const options = { Container: container, Force: true };
    const action = `disconnect container "${container}" from network "${name}"`;
    await client.call(action, (docker) => docker.getNetwork(id).disconnect(options), { lane: "high" });
  }

  async function connect(network: string, container: string, address: string, aliases: string[] = []): Promise<void> {
    const action = `connect container "${container}" to network "${network}" at ${address}`;
    const codes = { 404: "conflict" } as const;
    async function attach(networkId: string, containerId: string): Promise<void> {
      const options = { Container: containerId, EndpointConfig: buildEndpoint(address, aliases) };
      const connecting = () =>
        client.call(action, (docker) => docker.getNetwork(networkId).connect(options), { lane: "high", codes });
      try {
        await connecting();
      } catch (error) {
        const present = IN_USE.has(statusOf(error)) ? await endpointOf(container, network) : undefined;
        if (present === undefined) throw error;
        if (present.IPAddress === address) return;
        await detach(networkId, network, containerId);
        await connecting();
      }
    }
    await withOwn(client, "connect to", "network", network, (networkId) =>
      withOwn(client, "connect", "container", container, (containerId) => attach(networkId, containerId)),
    );
  }

  async function disconnect(network: string, container: string): Promise<void> {
    const leave = (networkId: string) =>
      ifOwn(client, "disconnect", "container", container, (containerId) => detach(networkId, network, containerId));
    try {
      if ((await ifOwn(client, "disconnect from", "network", network, leave)) !== ABSENT) return;
    } catch (error) {
      // "Not connected" is 403, 404 or 500, as engines go: look.
      if (statusOf(error) === null) throw error;
      if ((await findNetwork(client, network)) !== null && (await endpointOf(container, network)) !== undefined)
        throw error;
    }
    // A container that does not run keeps a network that is gone, and cannot start, until it is disconnected: by the
    // network's name, as the engine knows no id of it any more.
    if ((await endpointOf(container, network)) === undefined) return;
    await ifOwn(client, "disconnect", "container", container, (id) => detach(network, network, id));
  }

  async function endpointOf(container: string, network: string) {
    return (await findContainer(client, container))?.NetworkSettings.Networks[network];
  }

  async function subnets() {
    const all = await client.call("list networks", (docker) => docker.listNetworks());
    return all.flatMap(({ Name: network, IPAM: ipam }) =>
      (ipam?.Config ?? []).map((range) => ({ network, subnet: range["Subnet"] ?? "" })),
    );
  }

  return { create, remove, connect, disconnect, subnets };
}

/** What the engine refuses here shows again in the removal that follows. */
function ignoreStatus(error: unknown): void {
  if (statusOf(error) === null) throw error;
}
