import { PlatformError } from "../../kernel/errors.ts";
import { isOurs } from "../../domain/environment/labels.ts";
import type { Docker, DockerClient, OwnershipCache } from "./client.ts";
import { statusOf } from "./errors.ts";
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

type ObjectKind = keyof OwnershipCache;

/** With these the engine refuses what it was asked of an object that is gone, or going. */
const LEFT: ReadonlySet<number | null> = new Set([404, 409, 500]);

/** What there is of an object that is not there. */
export const ABSENT = Symbol("absent");

/**
 * Does `work` with the id of our container or network of this name. That it is ours is proven once, by its labels, or
 * by having made it: a name may change hands, labels of an id cannot. Where the engine does not know the id any more
 * (404), or refuses (409, 500) as it is one that leaves while its successor has the name already (so compose makes a
 * container anew), the name is looked up anew. ABSENT when nobody has the name, `protected_target` when somebody else has.
 */
export async function ifOwn<T>(
  client: DockerClient,
  verb: string,
  kind: ObjectKind,
  name: string,
  work: (id: string) => Promise<T>,
): Promise<T | typeof ABSENT> {
  const owned = client.owned[kind];
  const known = owned.get(name);
  let refusal: unknown = null;
  if (known !== undefined) {
    try {
      return await work(known);
    } catch (error) {
      if (!LEFT.has(statusOf(error))) throw error;
      owned.delete(name);
      refusal = error;
    }
  }
  const id = await proveOwn(client, verb, kind, name);
  if (id === null) return ABSENT;
  // It is still the one: the engine had another reason.
  if (id === known) throw refusal;
  return work(id);
}

/** The same for an object that has to be there; `conflict` where it is not. */
export async function withOwn<T>(
  client: DockerClient,
  verb: string,
  kind: ObjectKind,
  name: string,
  work: (id: string) => Promise<T>,
): Promise<T> {
  const result = await ifOwn(client, verb, kind, name, work);
  if (result !== ABSENT) return result;
  throw new PlatformError(
    "conflict",
    `Cannot ${verb} ${kind} "${name}": it does not exist; recover or recreate its environment`,
  );
}

async function proveOwn(client: DockerClient, verb: string, kind: ObjectKind, name: string): Promise<string | null> {
  const found =
    kind === "container"
      ? await findContainer(client, name).then((it) => it && { id: it.Id, labels: it.Config.Labels })
      : await findNetwork(client, name).then((it) => it && { id: it.Id, labels: it.Labels });
  if (found === null) return null;
  guard(client, verb, kind, name, found.labels);
  client.owned[kind].set(name, found.id);
  return found.id;
}

/** Throws `protected_target` unless `labels` are those of this instance. */
function guard(
  client: DockerClient,
  verb: string,
  kind: ObjectKind,
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
    id: found.Id,
    name: found.Name.slice(1),
    labels: { ...found.Config.Labels },
    image: found.Config.Image,
    state,
    exitCode: state === "exited" ? found.State.ExitCode : null,
    oomKilled: found.State.OOMKilled,
    networks: addresses(found.NetworkSettings.Networks),
    fixedAddresses: fixedAddresses(found.NetworkSettings.Networks),
    homeNetwork: found.HostConfig.NetworkMode ?? "",
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

type Endpoint = { IPAMConfig?: { IPv4Address?: string } | null };

/** Fixed addresses by network name; networks where a container has none are left out. */
export function fixedAddresses(networks: Record<string, Endpoint> | undefined | null): Record<string, string> {
  const fixed = Object.entries(networks ?? {}).map(([name, { IPAMConfig: ipam }]) => [name, ipam?.IPv4Address ?? ""]);
  return Object.fromEntries(fixed.filter(([, address]) => address !== ""));
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

function assertName(kind: ObjectKind, name: string): void {
  if (OBJECT_NAME.test(name)) return;
  throw new PlatformError(
    "invalid_request",
    `Cannot address ${kind} "${name}": a name is letters, digits, "_", "." and "-", at most 128`,
  );
}
