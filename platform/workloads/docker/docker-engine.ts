import { LABEL_PLATFORM } from "../../domain/environment/labels.ts";
import { createDockerClient, type Docker, type DockerClient, type DockerOptions } from "./client.ts";
import { createDockerContainers } from "./containers.ts";
import { createDockerCopy, type DockerCopy } from "./copy-from-image.ts";
import { readDockerEvents } from "./events.ts";
import { createDockerExec } from "./exec.ts";
import { createDockerImages } from "./images.ts";
import { readDockerLogs } from "./logs.ts";
import { addresses, containerState, fixedAddresses } from "./lookup.ts";
import { createDockerNetworks } from "./networks.ts";
import type { ContainerFacts, Engine, EngineFacts, NetworkFacts } from "./engine.ts";

/**
 * The platform's Engine on a Docker engine from 20.10 on. Needs no engine to be there yet: calls fail
 * with `engine_unavailable` until it is, and work again once it is back.
 */
export function createDockerEngine(options: DockerOptions): Engine {
  const client = createDockerClient(options);
  const lifecycle = createDockerContainers(client);
  const copy = createDockerCopy(client, lifecycle.remove);
  return {
    containers: {
      ...lifecycle,
      ...createDockerExec(client),
      copyFromImage: copy.copyFromImage,
      logs: (name, logOptions) => readDockerLogs(client, name, logOptions),
    },
    networks: createDockerNetworks(client),
    images: createDockerImages(client),
    info: () => client.negotiate(),
    observe: () => observe(client, copy),
    events: (signal) => readDockerEvents(client, signal),
  };
}

async function observe(client: DockerClient, copy: DockerCopy): Promise<EngineFacts> {
  const filters = { label: [`${LABEL_PLATFORM}=${client.instance}`] };
  // Of a copy that ended meanwhile the list may still have the helper, of one that began the look before had none.
  const before = copy.inUse();
  const [containers, networks] = await Promise.all([
    client.call("list containers", (docker) => docker.listContainers({ all: true, filters })),
    client.call("list networks", (docker) => docker.listNetworks({ filters })),
  ]);
  const helpers = new Set([...before, ...copy.inUse()]);
  return {
    containers: containers.map(listedContainer).filter(({ name }) => !helpers.has(name)),
    networks: networks.map(listedNetwork),
  };
}

type ListedContainer = Awaited<ReturnType<Docker["listContainers"]>>[number];

function listedContainer(container: ListedContainer): ContainerFacts {
  // Links, which the platform does not use, appear as further names of the form /a/b.
  const name = container.Names.find((candidate) => candidate.lastIndexOf("/") === 0) ?? "";
  return {
    id: container.Id,
    name: name.slice(1),
    labels: container.Labels,
    image: container.Image,
    state: containerState(container.State),
    exitCode: null,
    oomKilled: false,
    networks: addresses(container.NetworkSettings.Networks),
    fixedAddresses: fixedAddresses(container.NetworkSettings.Networks),
    homeNetwork: container.HostConfig.NetworkMode,
  };
}

type ListedNetwork = Awaited<ReturnType<Docker["listNetworks"]>>[number];

function listedNetwork(network: ListedNetwork): NetworkFacts {
  return { name: network.Name, labels: network.Labels ?? {}, subnet: network.IPAM?.Config?.[0]?.["Subnet"] ?? "" };
}
