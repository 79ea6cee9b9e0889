import { PlatformError } from "../domain/errors.ts";
import { isOurs } from "../domain/labels.ts";
import type { Docker, DockerClient } from "./docker-client.ts";
import { statusOf } from "./docker-errors.ts";
import type { ContainerFacts, ContainerState } from "./engine.ts";

export type ContainerInspection = Awaited<ReturnType<ReturnType<Docker["getContainer"]>["inspect"]>>;
export type NetworkInspection = Awaited<ReturnType<ReturnType<Docker["getNetwork"]>["inspect"]>>;

/** The engine's own rule for names of containers and networks. dockerode puts them into paths as they are. */
const OBJECT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** The container of this very name, anyone's, or null. */
export async function findContainer(client: DockerClient, name: string): Promise<ContainerInspection | null> {
  assertName("container", name);
  const found = await orNull(
    client.call(`inspect container "${name}"`, (docker) => docker.getContainer(name).inspect()),
  );
  // The engine also takes the beginning of an id for a name.
  return found?.Name === `/${name}` ? found : null;
}

/** The network of this very name, anyone's, or null. */
export async function findNetwork(client: DockerClient, name: string): Promise<NetworkInspection | null> {
  assertName("network", name);
  const found = await orNull(client.call(`inspect network "${name}"`, (docker) => docker.getNetwork(name).inspect()));
  return found?.Name === name ? found : null;
}

/**
 * The container of this name, proven ours by its labels. Go on with its id: a name may change hands,
 * labels of an id cannot. `conflict` when absent, `protected_target` when not ours.
 */
export async function ownContainer(client: DockerClient, verb: string, name: string): Promise<ContainerInspection> {
  const found = await findContainer(client, name);
  if (found === null) throw absent(verb, "container", name);
  guard(client, verb, "container", name, found.Config.Labels);
  return found;
}

/** The network of this name, proven ours as ownContainer does. */
export async function ownNetwork(client: DockerClient, verb: string, name: string): Promise<NetworkInspection> {
  const found = await findNetwork(client, name);
  if (found === null) throw absent(verb, "network", name);
  guard(client, verb, "network", name, found.Labels);
  return found;
}

/** Throws `protected_target` unless `labels` are those of this instance. */
export function guard(
  client: DockerClient,
  verb: string,
  kind: "container" | "network",
  name: string,
  labels: Record<string, string> | undefined | null,
): void {
  if (isOurs(labels ?? {}, client.instance)) return;
  throw new PlatformError(
    "protected_target",
    `Cannot ${verb} ${kind} "${name}": it does not belong to this platform; choose one that does`,
  );
}

/** A container's facts from its inspection. */
export function containerFacts(found: ContainerInspection): ContainerFacts {
  const state = containerState(found.State.Status);
  return {
    name: found.Name.slice(1),
    labels: { ...found.Config.Labels },
    image: found.Config.Image,
    state,
    exitCode: state === "exited" ? found.State.ExitCode : null,
    oomKilled: found.State.OOMKilled,
    networks: addresses(found.NetworkSettings.Networks),
  };
}

/** The engine's word for a state; those on the way out, and being restarted, count as exited. */
export function containerState(word: string): ContainerState {
  return word === "created" || word === "running" || word === "paused" ? word : "exited";
}

/** Addresses by network name. */
export function addresses(networks: Record<string, { IPAddress?: string }> | undefined | null): Record<string, string> {
  return Object.fromEntries(Object.entries(networks ?? {}).map(([name, endpoint]) => [name, endpoint.IPAddress ?? ""]));
}

/** The answer, or null where the engine says 404. */
export async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

function absent(verb: string, kind: "container" | "network", name: string): PlatformError {
  return new PlatformError(
    "conflict",
    `Cannot ${verb} ${kind} "${name}": it does not exist; recover or recreate its environment`,
  );
}

function assertName(kind: "container" | "network", name: string): void {
  if (OBJECT_NAME.test(name)) return;
  throw new PlatformError(
    "invalid_request",
    `Cannot address ${kind} "${name}": a name is letters, digits, "_", "." and "-", at most 128`,
  );
}
