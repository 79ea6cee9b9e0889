import { delay } from "../../kernel/delay.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Docker, DockerClient, Lane } from "./client.ts";
import { buildContainerBody, type ContainerBody } from "./container-spec.ts";
import type { ContainerEngine, ContainerSpec } from "./engine.ts";
import { statusOf, type StatusCodes } from "./errors.ts";
import { openEvents } from "./events.ts";
import { inspectedContainer } from "./facts.ts";
import { readJsonLines } from "./json-lines.ts";
import { findContainer, ifOwn, withOwn } from "./own-objects.ts";

/** How often a container that leaves is looked at, and how soon a pause or unpause that failed is tried again. */
const POLL_MS = 50;
const PAUSE_ATTEMPTS = 5;

const NOT_THERE: StatusCodes = { 404: "conflict", 409: "conflict" };

type Lifecycle = Omit<ContainerEngine, "exec" | "execDetached" | "copyFromImage" | "logs">;
type Container = ReturnType<Docker["getContainer"]>;

/** Containers' life from create to remove, on a Docker engine. */
export function createDockerContainers(client: DockerClient): Lifecycle {
  type Request = { lane?: Lane; codes?: StatusCodes };

  function ask<T>(verb: string, name: string, perform: (container: Container) => Promise<T>, request: Request) {
    const call = (id: string) =>
      client.call(`${verb} container "${name}"`, (docker) => perform(docker.getContainer(id)), request);
    return withOwn(client, verb, "container", name, call);
  }

  async function create(spec: ContainerSpec): Promise<string> {
    try {
      return await createContainer(client, spec.name, buildContainerBody(spec));
    } catch (error) {
      throw statusOf(error) === 400 ? await refusedSpec(client, spec, error) : error;
    }
  }

  async function start(name: string): Promise<void> {
    const codes = { ...NOT_THERE, 400: "image_not_runnable" } as const;
    const begin = () =>
      unless(
        [304],
        ask("start", name, (container) => container.start(), { lane: "high", codes }),
      );
    if ((await begin()) === null) return;
    // One that failed, and that the engine starts again by itself, counts as started while the engine waits, which is
    // up to a minute; a kill ends the waiting.
    if (!(await findContainer(client, name))?.State.Restarting) return;
    await kill(name, "SIGKILL");
    await begin();
  }

  async function remove(name: string): Promise<void> {
    // Its anonymous volumes go with it, or every environment would leave some behind.
    const options = { force: true, v: true };
    const removal = (id: string) =>
      client.call(`remove container "${name}"`, (docker) => docker.getContainer(id).remove(options), { lane: "high" });
    const deadline = performance.now() + client.timeoutMs;
    // 409: another removal of it is in progress.
    while ((await unless([404, 409], ifOwn(client, "remove", "container", name, removal))) === 409) {
      if (performance.now() < deadline) await delay(POLL_MS);
      else throw new PlatformError("engine_failed", `Cannot remove container "${name}": its removal does not end`);
    }
    client.owned.container.delete(name);
  }

  async function kill(name: string, signal: "SIGKILL" | "SIGHUP"): Promise<void> {
    const codes = { 404: "conflict" } as const;
    const killing =
      signal === "SIGKILL"
        ? ask("kill", name, (container) => killAndWait(client, container), { lane: "low", codes })
        : ask("kill", name, (container) => container.kill({ signal }), { codes });
    await unless([409], killing);
  }

  /** On a busy machine the kernel may not stop every process in time, or the engine knows an old state: it answers 500. */
  async function pauseOrUnpause(name: string, verb: "pause" | "unpause"): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(verb, name, (container) => container[verb](), { codes: NOT_THERE });
      } catch (error) {
        if (statusOf(error) === null) throw error;
        const found = await findContainer(client, name);
        const isPaused = found?.State.Status === "paused";
        if (found !== null && isPaused === (verb === "pause")) return;
        if (statusOf(error) !== 500 || attempt === PAUSE_ATTEMPTS) throw error;
      }
      await delay(POLL_MS);
    }
  }

  return {
    create,
    start,
    remove,
    kill,
    pause: (name) => pauseOrUnpause(name, "pause"),
    unpause: (name) => pauseOrUnpause(name, "unpause"),
    async inspect(name) {
      const found = await findContainer(client, name);
      return found === null ? null : inspectedContainer(found);
    },
  };
}

/** Creates a container; the body, environment included, travels in the body: dockerode would put it into the URL. */
export async function createContainer(
  client: DockerClient,
  name: string,
  body: object & Pick<ContainerBody, "Image">,
): Promise<string> {
  const options = { _query: { name }, _body: body } as unknown as Parameters<Docker["createContainer"]>[0];
  const codes = { 400: "invalid_request", 404: "image_not_found", 409: "conflict" } as const;
  const action = `create container "${name}" from image "${body.Image}"`;
  const { id } = await client.call(action, (docker) => docker.createContainer(options), { lane: "low", codes });
  client.owned.container.set(name, id);
  return id;
}

/** The engine answers 400 to every spec it refuses; an image without a command is the image's own fault. */
async function refusedSpec(client: DockerClient, spec: ContainerSpec, error: unknown): Promise<unknown> {
  if (spec.command !== null) return error;
  const image = await client.call(`inspect image "${spec.image}"`, (docker) => docker.getImage(spec.image).inspect());
  const { Cmd: command, Entrypoint: entrypoint } = image.Config;
  if ((command?.length ?? 0) + (entrypoint?.length ?? 0) > 0) return error;
  const detail = `Cannot run image "${spec.image}": it names no command; give one with "command", or set CMD in its Dockerfile`;
  return new PlatformError("image_not_runnable", detail, { cause: error });
}

/**
 * Kills a container and returns once its processes have ended, as the engine's events tell: its answer comes when it
 * has also taken the container off its networks, which takes it two or three times as long.
 */
async function killAndWait(client: DockerClient, container: Container): Promise<void> {
  const over = new AbortController();
  try {
    const answered = container.kill({ signal: "SIGKILL" });
    answered.catch(() => {}); // of one that has ended there is nothing more to hear
    await Promise.race([answered, awaitDeath(client, container.id, over.signal)]);
  } finally {
    over.abort();
  }
}

/** Settles only with the container's end: where the engine's events cannot be had, its answer has to do. */
async function awaitDeath(client: DockerClient, id: string, signal: AbortSignal): Promise<void> {
  const filters = { type: ["container"], container: [id], event: ["die"] };
  try {
    for await (const _ of readJsonLines(await openEvents(client, Date.now(), filters, signal))) return;
  } catch {
    // Told by the kill's own answer.
  }
  return new Promise(() => {});
}

/** A status that means "already so", or null for success; throws the rest. */
async function unless(accepted: number[], answer: Promise<unknown>): Promise<number | null> {
  try {
    await answer;
    return null;
  } catch (error) {
    const status = statusOf(error);
    if (status === null || !accepted.includes(status)) throw error;
    return status;
  }
}
