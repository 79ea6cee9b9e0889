import type { Readable } from "node:stream";
import { isOurs, LABEL_ENV, LABEL_ROLE } from "../../domain/environment/labels.ts";
import { delay } from "../../kernel/delay.ts";
import type { WorkloadAction } from "../workloads.ts";
import type { DockerClient } from "./client.ts";
import type { EngineEvent } from "./engine.ts";
import { listContainers } from "./facts.ts";
import { readJsonLines } from "./json-lines.ts";

const CONTAINER_ACTIONS: ReadonlySet<string> = new Set(["start", "die", "oom", "pause", "unpause", "kill", "destroy"]);
const NETWORK_ACTIONS: ReadonlySet<string> = new Set(["connect", "disconnect"]);

/** `create` is heard only to learn the container's name, which its network events do not tell. */
const HEARD = ["create", ...CONTAINER_ACTIONS, ...NETWORK_ACTIONS];

/** As the engine's `kill` events name it. */
const SIGKILL = "9";

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

/** How far back a new connection begins, as events are not quite in the order of their stamps. */
const READ_BACK_MS = 1_000;

/** Engines remember 256 events; remembering more of what was seen is enough to drop what comes twice. */
const REMEMBERED = 1_024;

/** One message of the engine, as far as the adapter reads it. */
export type EngineMessage = {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  timeNano: number;
};

/** Names and environments of our containers by id: the engine's network events carry the id alone. */
export type KnownContainers = Map<string, { name: string; env: string }>;

/** The events of this instance's containers on a Docker engine; see Engine.events. */
export function readDockerEvents(client: DockerClient, signal: AbortSignal): AsyncIterable<EngineEvent> {
  const filters = { type: ["container", "network"], event: HEARD };
  const known: KnownContainers = new Map();
  const isNew = createMemory(REMEMBERED);
  const settled = new Set<string>();
  // The time of the call: the generator below begins only when its first event is read.
  let since = Date.now();
  let wait = FIRST_RETRY_MS;

  async function* readFrom(source: Readable): AsyncGenerator<EngineEvent> {
    // Containers that were there before: their creation is not among the events.
    for (const { id, name, labels } of await listContainers(client)) learn(known, id, name, labels);
    wait = FIRST_RETRY_MS;
    for await (const value of readJsonLines(source)) {
      const message = value as EngineMessage;
      if (!isNew(identify(message))) continue;
      since = Math.max(since, milliseconds(message) - READ_BACK_MS);
      const event = translate(message, client.instance, known);
      if (event === null) continue;
      if (event.action !== "oom") yield event;
      if (await meetsMemoryLimit(client, message, settled)) yield { ...event, action: "oom" };
    }
  }

  return (async function* () {
    while (!signal.aborted) {
      let source: Readable | null = null;
      try {
        source = await openEvents(client, since, filters, signal);
        yield* readFrom(source);
      } catch (error) {
        if (signal.aborted) return;
        // A defect of ours: trying again would only hide it.
        if (error instanceof TypeError) throw error;
      } finally {
        source?.destroy();
      }
      await delay(wait, signal);
      wait = Math.min(wait * 2, LAST_RETRY_MS);
    }
  })();
}

/** The engine's messages that match `filters`, from `since` (milliseconds since the epoch) on. */
export function openEvents(
  client: DockerClient,
  since: number,
  filters: Record<string, string[]>,
  signal: AbortSignal,
): Promise<Readable> {
  const query = { since: (since / 1000).toFixed(3), filters: JSON.stringify(filters) };
  return client.stream(
    "follow the engine's events",
    (docker, abortSignal) => docker.getEvents({ ...query, abortSignal } as { filters: string }),
    {},
    signal,
  );
}

/**
 * Whether a message is the first sign in a container's run that it met its memory limit. On a busy machine the engine
 * tells `oom` late, after `die`, or not at all: so the engine is also asked, at an end that no SIGKILL of a client
 * brought about. `settled` holds the ids of containers that need no more looking at until they start again.
 */
async function meetsMemoryLimit(
  client: DockerClient,
  { Type: type, Action: action, Actor: { ID: id, Attributes: attributes } }: EngineMessage,
  settled: Set<string>,
): Promise<boolean> {
  if (type !== "container") return false;
  if (action === "start" || action === "destroy") settled.delete(id);
  if (action === "kill" && attributes["signal"] === SIGKILL) settled.add(id);
  if (settled.has(id) || (action !== "oom" && action !== "die")) return false;
  if (action === "die") {
    const asked = client.call(`inspect container "${id}"`, (docker) => docker.getContainer(id).inspect());
    const found = await asked.catch(() => null); // an engine that has no answer knows of nothing
    if (found?.State.OOMKilled !== true) return false;
  }
  settled.add(id);
  return true;
}

/** A message as an event; null for another owner's container and for other actions. Keeps `known` up to date. */
export function translate(message: EngineMessage, instance: string, known: KnownContainers): EngineEvent | null {
  const { Type: type, Action: action, Actor: actor } = message;
  const time = milliseconds(message);
  if (type === "network") {
    const container = known.get(actor.Attributes["container"] ?? "");
    if (container === undefined || !NETWORK_ACTIONS.has(action)) return null;
    const { name, env } = container;
    return { action: action as WorkloadAction, container: name, env, network: actor.Attributes["name"] ?? "", time };
  }
  if (type !== "container" || !isOurs(actor.Attributes, instance)) return null;
  learn(known, actor.ID, actor.Attributes["name"] ?? "", actor.Attributes);
  const container = known.get(actor.ID);
  if (action === "destroy") known.delete(actor.ID);
  if (container === undefined || !CONTAINER_ACTIONS.has(action)) return null;
  return { action: action as WorkloadAction, container: container.name, env: container.env, network: null, time };
}

function learn(known: KnownContainers, id: string, name: string, labels: Record<string, string>): void {
  // Callers do not know of the adapter's own helpers.
  if (labels[LABEL_ROLE] === "helper") return;
  known.set(id, { name, env: labels[LABEL_ENV] ?? "" });
}

/** Nanoseconds do not fit a number exactly, but the same digits always give the same one. */
function identify({ Type, Action, Actor, timeNano }: EngineMessage): string {
  return `${timeNano} ${Type} ${Action} ${Actor.ID} ${Actor.Attributes["container"] ?? ""}`;
}

function milliseconds(message: EngineMessage): number {
  return Math.floor(message.timeNano / 1_000_000);
}

/** A function that tells whether a key is none of the last `size` ones. */
function createMemory(size: number): (key: string) => boolean {
  const keys = new Set<string>();
  return (key) => {
    if (keys.has(key)) return false;
    keys.add(key);
    const [oldest] = keys;
    if (keys.size > size && oldest !== undefined) keys.delete(oldest);
    return true;
  };
}
