import { LABEL_PLATFORM } from "../../domain/environment/labels.ts";
import type { DockerClient } from "./client.ts";
import type { ContainerFacts, NetworkFacts } from "./engine.ts";
import type { ContainerInspection } from "./own-objects.ts";

type Endpoint = { IPAddress?: string; IPAMConfig?: { IPv4Address?: string } | null };

/** This instance's containers, as the engine lists them. */
export async function listContainers(client: DockerClient): Promise<ContainerFacts[]> {
  const query = { all: true, filters: ours(client) };
  const listed = await client.call("list containers", (docker) => docker.listContainers(query));
  return listed.map((container) => ({
    id: container.Id,
    name: (container.Names[0] ?? "").slice(1),
    labels: container.Labels,
    state: containerState(container.State),
    exitCode: null,
    oomKilled: false,
    networks: addresses(container.NetworkSettings.Networks),
    homeNetwork: container.HostConfig.NetworkMode,
  }));
}

/** This instance's networks, as the engine lists them. */
export async function listNetworks(client: DockerClient): Promise<NetworkFacts[]> {
  const listed = await client.call("list networks", (docker) => docker.listNetworks({ filters: ours(client) }));
  return listed.map(({ Name: name, Labels: labels, IPAM: ipam }) => ({
    name,
    labels: labels ?? {},
    subnet: ipam?.Config?.[0]?.["Subnet"] ?? "",
  }));
}

function ours({ instance }: DockerClient) {
  return { label: [`${LABEL_PLATFORM}=${instance}`] };
}

/** A container's facts from its inspection. */
export function inspectedContainer(found: ContainerInspection): ContainerFacts {
  const state = containerState(found.State.Status);
  return {
    id: found.Id,
    name: found.Name.slice(1),
    labels: { ...found.Config.Labels },
    state,
    exitCode: state === "exited" ? found.State.ExitCode : null,
    oomKilled: found.State.OOMKilled,
    networks: addresses(found.NetworkSettings.Networks),
    homeNetwork: found.HostConfig.NetworkMode ?? "",
  };
}

/** The engine's word for a state; containers that leave or that it starts again count as exited. */
function containerState(word: string): ContainerFacts["state"] {
  return word === "created" || word === "running" || word === "paused" ? word : "exited";
}

/** Addresses by network name: only a container that runs or is paused has one, else its fixed one will be it. */
function addresses(networks: Record<string, Endpoint> | undefined | null): Record<string, string> {
  const entries = Object.entries(networks ?? {});
  return Object.fromEntries(
    entries.map(([name, { IPAddress: now, IPAMConfig: fixed }]) => [name, now || (fixed?.IPv4Address ?? "")]),
  );
}
