import { PlatformError } from "../../kernel/errors.ts";
import { isOurs } from "../../domain/environment/labels.ts";
import { buildEndpoint, buildNetworkBody } from "./container-spec.ts";
import type { Docker, DockerClient } from "./client.ts";
import { statusOf } from "./errors.ts";
import { ABSENT, findContainer, findNetwork, ifOwn, withOwn, type ContainerInspection } from "./lookup.ts";
import type { NetworkEngine, NetworkSpec } from "./engine.ts";

/** A container may be attached between looking and removing; not for ever. */
const REMOVE_ATTEMPTS = 3;

const GONE = 404;

/** Networks and who is on them, on a Docker engine. */
export function createDockerNetworks(client: DockerClient): NetworkEngine {
  async function create(spec: NetworkSpec): Promise<void> {
    const options = { _query: {}, _body: buildNetworkBody(spec) } as unknown as Parameters<Docker["createNetwork"]>[0];
    try {
      const codes = { 403: "address_pool_exhausted", 409: "conflict" } as const;
      const { id } = await client.change(
        "network",
        `create network "${spec.name}" with subnet ${spec.subnet}`,
        (docker) => docker.createNetwork(options),
        codes,
      );
      client.owned.network.set(spec.name, id);
    } catch (error) {
      // The name is checked before the subnet, but not in one go: both may mean that it is there already.
      if (statusOf(error) !== 409 && statusOf(error) !== 403) throw error;
      const existing = await findNetwork(client, spec.name);
      if (existing === null) throw error;
      if (isOurs(existing.Labels ?? {}, client.instance) && existing.IPAM?.Config?.[0]?.["Subnet"] === spec.subnet)
        return;
      const detail = `Cannot create network "${spec.name}": another one has that name; remove it first`;
      throw new PlatformError("conflict", detail, { cause: error });
    }
  }

  async function remove(name: string): Promise<void> {
    const removal = (id: string) =>
      client.change("network", `remove network "${name}"`, (docker) => docker.getNetwork(id).remove(), {
        403: "conflict",
      });
    for (let attempt = 1; ; attempt++) {
      try {
        await ifOwn(client, "remove", "network", name, removal);
        break;
      } catch (error) {
        if (statusOf(error) === GONE) break;
        const inUse = statusOf(error) === 403 || statusOf(error) === 409;
        if (!inUse || attempt === REMOVE_ATTEMPTS) throw error;
      }
      await detachAll(name);
    }
    client.owned.network.delete(name);
  }

  /** Stopped containers do not keep a network; running and paused ones, and endpoints a crash left, do. */
  async function detachAll(name: string): Promise<void> {
    const found = await findNetwork(client, name);
    const attached = Object.entries(found?.Containers ?? {});
    // A left-over endpoint has no container, and is addressed by its name.
    const names = attached.map(([id, endpoint]) => (id.startsWith("ep-") ? endpoint.Name : id));
    await Promise.all(names.map((container) => detach(found?.Id ?? name, name, container).catch(ignoreStatus)));
  }

  async function detach(id: string, name: string, container: string): Promise<void> {
    await client.change("continues", `disconnect container "${container}" from network "${name}"`, (docker) =>
      docker.getNetwork(id).disconnect({ Container: container, Force: true }),
    );
  }

  async function connect(network: string, container: string, address: string, aliases: string[] = []): Promise<void> {
    const attach = (networkId: string, containerId: string): Promise<unknown> =>
      client.change(
        "continues",
        `connect container "${container}" to network "${network}" at ${address}`,
        (docker) =>
          docker
            .getNetwork(networkId)
            .connect({ Container: containerId, EndpointConfig: buildEndpoint(address, aliases) }),
        { 404: "conflict" },
      );
    const attachAnew = async (networkId: string, containerId: string): Promise<void> => {
      try {
        await attach(networkId, containerId);
      } catch (error) {
        if (statusOf(error) !== 403 && statusOf(error) !== 409) throw error;
        const now = await findContainer(client, container);
        if (!isAttached(now, network)) throw error;
        if (now?.NetworkSettings.Networks[network]?.IPAddress === address) return;
        await detach(networkId, network, containerId);
        await attach(networkId, containerId);
      }
    };
    await withOwn(client, "connect to", "network", network, (networkId) =>
      withOwn(client, "connect", "container", container, (containerId) => attachAnew(networkId, containerId)),
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
      const isGone = (await findNetwork(client, network)) === null;
      if (!isGone && isAttached(await findContainer(client, container), network)) throw error;
    }
    await forget(network, container);
  }

  /** A network that went while the container did not run is one that it waits for at its next start: until it is told. */
  async function forget(network: string, container: string): Promise<void> {
    if (!isAttached(await findContainer(client, container), network)) return;
    // By its name: there is no id any more that the engine would know.
    await ifOwn(client, "disconnect", "container", container, (id) => detach(network, network, id));
  }

  async function foreignSubnets(): Promise<string[]> {
    const all = await client.call("list networks", (docker) => docker.listNetworks());
    return all
      .filter(({ Labels: labels }) => !isOurs(labels ?? {}, client.instance))
      .flatMap(({ IPAM: ipam }) => (ipam?.Config ?? []).map((range) => range["Subnet"] ?? ""))
      .filter(isIpv4Range);
  }

  return { create, remove, connect, disconnect, foreignSubnets };
}

function isIpv4Range(subnet: string): boolean {
  return /^\d+(?:\.\d+){3}\/\d+$/.test(subnet);
}

function isAttached(container: ContainerInspection | null, network: string): boolean {
  return container !== null && Object.hasOwn(container.NetworkSettings.Networks, network);
}

/** What the engine refuses here shows again in the removal that follows. */
function ignoreStatus(error: unknown): void {
  if (statusOf(error) === null) throw error;
}
