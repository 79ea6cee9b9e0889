import { isOurs } from "../../domain/environment/labels.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Docker, DockerClient, OwnershipCache } from "./client.ts";
import { statusOf } from "./errors.ts";

export type ContainerInspection = Awaited<ReturnType<ReturnType<Docker["getContainer"]>["inspect"]>>;
export type NetworkInspection = Awaited<ReturnType<ReturnType<Docker["getNetwork"]>["inspect"]>>;

type ObjectKind = keyof OwnershipCache;

/** The engine's own rule for names of containers and networks. dockerode puts them into paths as they are. */
const OBJECT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** With these the engine refuses what it was asked of an object that is gone, or going. */
const LEFT: ReadonlySet<number | null> = new Set([404, 409, 500]);

/** The result of work on an object that is not there. */
export const ABSENT = Symbol("absent");

/** The container of this very name, of any owner, or null. */
export async function findContainer(client: DockerClient, name: string): Promise<ContainerInspection | null> {
  assertName("container", name);
  const asked = client.call(`inspect container "${name}"`, (docker) => docker.getContainer(name).inspect());
  const found = await orNull(asked);
  // The engine also takes the beginning of an id for a name.
  return found?.Name === `/${name}` ? found : null;
}

/** The network of this very name, of any owner, or null. */
export async function findNetwork(client: DockerClient, name: string): Promise<NetworkInspection | null> {
  assertName("network", name);
  const found = await orNull(client.call(`inspect network "${name}"`, (docker) => docker.getNetwork(name).inspect()));
  return found?.Name === name ? found : null;
}

type Work<T> = (id: string) => Promise<T>;

/**
 * Does `work` with the id of our container or network of this name. The labels are checked once for each id: a name
 * may change hands, labels of an id cannot. Where the engine refuses a cached id, the name is looked up anew: compose
 * makes a container anew while the former one still leaves. ABSENT when there is none, `protected_target` when another
 * owner has the name. `verb` completes "Cannot …".
 */
export async function ifOwn<T>(client: DockerClient, verb: string, kind: ObjectKind, name: string, work: Work<T>) {
  const owned = client.owned[kind];
  const cached = owned.get(name);
  try {
    const id = cached ?? (await ownId(client, verb, kind, name));
    return id === null ? ABSENT : await work(id);
  } catch (error) {
    if (cached === undefined || !LEFT.has(statusOf(error))) throw error;
    owned.delete(name);
    const id = await ownId(client, verb, kind, name);
    if (id === cached) throw error;
    return id === null ? ABSENT : work(id);
  }
}

/** The same for an object that has to be there; `conflict` where it is not. */
export async function withOwn<T>(client: DockerClient, verb: string, kind: ObjectKind, name: string, work: Work<T>) {
  const result = await ifOwn(client, verb, kind, name, work);
  if (result !== ABSENT) return result;
  const detail = `Cannot ${verb} ${kind} "${name}": it does not exist; recover or recreate its environment`;
  throw new PlatformError("conflict", detail);
}

async function ownId(client: DockerClient, verb: string, kind: ObjectKind, name: string): Promise<string | null> {
  const found = await (kind === "container" ? findContainer(client, name) : findNetwork(client, name));
  if (found === null) return null;
  const labels = "Config" in found ? found.Config.Labels : found.Labels;
  if (!isOurs(labels ?? {}, client.instance)) {
    const detail = `Cannot ${verb} ${kind} "${name}": it does not belong to this platform; choose one that does`;
    throw new PlatformError("protected_target", detail);
  }
  client.owned[kind].set(name, found.Id);
  return found.Id;
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
  const detail = `Cannot address ${kind} "${name}": a name is letters, digits, "_", "." and "-", at most 128`;
  throw new PlatformError("invalid_request", detail);
}
