import { PlatformError } from "../domain/errors.ts";
import { isOurs } from "../domain/labels.ts";
import { buildEndpoint, buildNetworkBody } from "./container-spec.ts";
import type { Docker, DockerClient } from "./docker-client.ts";
import { statusOf } from "./docker-errors.ts";
import {
  findContainer,
  findNetwork,
  guard,
  ownContainer,
  ownNetwork,
  type ContainerInspection,
} from "./docker-lookup.ts";
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
      await client.change(
        `create network "${spec.name}" with subnet ${spec.subnet}`,
        (docker) => docker.createNetwork(options),
        codes,
      );
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
    const found = await findNetwork(client, name);
    if (found === null) return;
    guard(client, "remove", "network", name, found.Labels);
    for (let attempt = 1; ; attempt++) {
      try {
        return await client.change(`remove network "${name}"`, (docker) => docker.getNetwork(found.Id).remove(), {
          403: "conflict",
        });
      } catch (error) {
        if (statusOf(error) === GONE) return;
        const inUse = statusOf(error) === 403 || statusOf(error) === 409;
        if (!inUse || attempt === REMOVE_ATTEMPTS) throw error;
      }
      await detachAll(name);
    }
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
    await client.change(`disconnect container "${container}" from network "${name}"`, (docker) =>
      docker.getNetwork(id).disconnect({ Container: container, Force: true }),
    );
  }

  async function connect(network: string, container: string, address: string, aliases: string[] = []): Promise<void> {
    const [{ Id: networkId }, { Id: containerId }] = await Promise.all([
      ownNetwork(client, "connect to", network),
      ownContainer(client, "connect", container),
    ]);
    const attach = (): Promise<unknown> =>
      client.change(
        `connect container "${container}" to network "${network}" at ${address}`,
        (docker) =>
          docker
            .getNetwork(networkId)
            .connect({ Container: containerId, EndpointConfig: buildEndpoint(address, aliases) }),
        { 404: "conflict" },
      );
    try {
      await attach();
    } catch (error) {
      if (statusOf(error) !== 403 && statusOf(error) !== 409) throw error;
      const now = await findContainer(client, container);
      if (!isAttached(now, network)) throw error;
      if (now?.NetworkSettings.Networks[network]?.IPAddress === address) return;
      await detach(networkId, network, containerId);
      await attach();
    }
  }

  async function disconnect(network: string, container: string): Promise<void> {
    const [foundNetwork, foundContainer] = await Promise.all([
      findNetwork(client, network),
      findContainer(client, container),
    ]);
    if (foundNetwork === null || foundContainer === null) return;
    guard(client, "disconnect from", "network", network, foundNetwork.Labels);
    guard(client, "disconnect", "container", container, foundContainer.Config.Labels);
    try {
      await detach(foundNetwork.Id, network, foundContainer.Id);
    } catch (error) {
      // "Not connected" is 403, 404 or 500, as engines go: look.
      if (statusOf(error) === null || isAttached(await findContainer(client, container), network)) throw error;
    }
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
