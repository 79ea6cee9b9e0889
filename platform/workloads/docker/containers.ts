import { PlatformError } from "../../kernel/errors.ts";
import { isOurs } from "../../domain/environment/labels.ts";
import { delay } from "../../kernel/delay.ts";
import { buildContainerBody, type ContainerBody } from "./container-spec.ts";
import type { Docker, DockerClient } from "./client.ts";
import { statusOf } from "./errors.ts";
import { killAndWait } from "./kill-and-wait.ts";
import { containerFacts, findContainer, ifOwn, withOwn, type ContainerInspection } from "./lookup.ts";
import type { ContainerEngine, ContainerSpec } from "./engine.ts";

/** How often a container on its way out is looked at, and how soon one that was not paused or unpaused is tried again. */
const POLL_MS = 50;
const PAUSE_ATTEMPTS = 5;

type Lifecycle = Omit<ContainerEngine, "exec" | "execDetached" | "copyFromImage" | "logs">;

/** Containers' life from create to remove, on a Docker engine. */
export function createDockerContainers(client: DockerClient): Lifecycle {
  async function create(spec: ContainerSpec): Promise<string> {
    const body = buildContainerBody(spec);
    try {
      return await createContainer(client, spec.name, body);
    } catch (error) {
      if (statusOf(error) === 400) throw await refusedSpec(client, spec, error);
      if (statusOf(error) !== 409) throw error;
      const existing = await findContainer(client, spec.name);
      if (existing !== null && !isLeaving(existing)) {
        assertSame(client, existing, spec, error);
        return existing.Id;
      }
      // The name is taken until the removal under way has ended.
      await untilGone(client, spec.name);
      return createContainer(client, spec.name, body);
    }
  }

  async function start(name: string): Promise<void> {
    const codes = { 400: "image_not_runnable", 404: "conflict", 409: "conflict" } as const;
    const begin = (id: string) =>
      client.change("continues", `start container "${name}"`, (docker) => docker.getContainer(id).start(), codes);
    const tell = () => unless([304], withOwn(client, "start", "container", name, begin));
    if ((await tell()) === null) return;
    // One that failed, and that the engine starts again by itself, counts as started while the engine waits, which is
    // up to a minute; a kill ends the waiting.
    if (!(await findContainer(client, name))?.State.Restarting) return;
    await kill(name, "SIGKILL");
    await tell();
  }

  async function remove(name: string): Promise<void> {
    // Its anonymous volumes go with it, or every environment would leave some behind.
    const removal = (id: string) =>
      client.change("continues", `remove container "${name}"`, (docker) =>
        docker.getContainer(id).remove({ force: true, v: true }),
      );
    const status = await unless([404, 409], ifOwn(client, "remove", "container", name, removal));
    if (status === 409) await untilGone(client, name);
    client.owned.container.delete(name);
  }

  async function kill(name: string, signal: "SIGKILL" | "SIGHUP"): Promise<void> {
    // With SIGKILL the engine waits for the end, and what it does then takes it long; a reload waits for nobody.
    const send = (id: string) => {
      const tell = (docker: Docker) => docker.getContainer(id).kill({ signal });
      const request = [`kill container "${name}"`, tell, { 404: "conflict" }] as const;
      return signal === "SIGKILL" ? client.change("begins", ...request) : client.call(...request);
    };
    await unless([409], withOwn(client, "kill", "container", name, send));
  }

  async function killProcesses(name: string): Promise<void> {
    await unless(
      [409],
      withOwn(client, "kill", "container", name, (id) => killAndWait(client, name, id)),
    );
  }

  const pause = (name: string): Promise<void> => pauseOrUnpause(name, "pause");
  const unpause = (name: string): Promise<void> => pauseOrUnpause(name, "unpause");

  /** On a busy machine the kernel may not stop every process in time, or the engine knows an old state: it answers 500. */
  async function pauseOrUnpause(name: string, verb: "pause" | "unpause"): Promise<void> {
    const codes = { 404: "conflict", 409: "conflict" } as const;
    const ask = (id: string) =>
      client.call(`${verb} container "${name}"`, (docker) => docker.getContainer(id)[verb](), codes);
    for (let attempt = 1; ; attempt++) {
      try {
        return await withOwn(client, verb, "container", name, ask);
      } catch (error) {
        const now = statusOf(error) === null ? undefined : (await findContainer(client, name))?.State.Status;
        if (verb === "pause" ? now === "paused" : now !== undefined && now !== "paused") return;
        if (now !== (verb === "pause" ? "running" : "paused") || attempt === PAUSE_ATTEMPTS) throw error;
      }
      await delay(POLL_MS);
    }
  }

  async function inspect(name: string) {
    const found = await findContainer(client, name);
    return found === null ? null : containerFacts(found);
  }

  return { create, start, remove, kill, killProcesses, pause, unpause, inspect };
}

/** Creates a container; the body, environment included, travels in the body: dockerode would put it into the URL. */
export async function createContainer(
  client: DockerClient,
  name: string,
  body: object & Pick<ContainerBody, "Image">,
): Promise<string> {
  const options = { _query: { name }, _body: body } as unknown as Parameters<Docker["createContainer"]>[0];
  const codes = { 400: "invalid_request", 404: "image_not_found", 409: "conflict" } as const;
  const { id } = await client.change(
    "begins",
    `create container "${name}" from image "${body.Image}"`,
    (docker) => docker.createContainer(options),
    codes,
  );
  client.owned.container.set(name, id);
  return id;
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

/** The engine answers 400 to every spec it refuses; an image without a command is the image's own fault. */
async function refusedSpec(client: DockerClient, spec: ContainerSpec, error: unknown): Promise<unknown> {
  if (spec.command !== null) return error;
  const image = await client.call(`inspect image "${spec.image}"`, (docker) => docker.getImage(spec.image).inspect());
  const { Cmd: command, Entrypoint: entrypoint } = image.Config;
  if ((command?.length ?? 0) + (entrypoint?.length ?? 0) > 0) return error;
  const detail = `Cannot run image "${spec.image}": it names no command; give one with "command", or set CMD in its Dockerfile`;
  return new PlatformError("image_not_runnable", detail, { cause: error });
}

function assertSame(client: DockerClient, existing: ContainerInspection, spec: ContainerSpec, cause: unknown): void {
  const { Config: config, HostConfig: host, NetworkSettings: settings } = existing;
  const wanted = buildContainerBody(spec);
  const address = settings.Networks[spec.network]?.IPAMConfig?.IPv4Address;
  const env = new Set(config.Env);
  const same =
    isOurs(config.Labels, client.instance) &&
    Object.entries(wanted.Labels).every(([key, value]) => config.Labels[key] === value) &&
    config.Image === wanted.Image &&
    wanted.Env.every((entry) => env.has(entry)) &&
    (wanted.Cmd === undefined || JSON.stringify(config.Cmd) === JSON.stringify(wanted.Cmd)) &&
    host.NetworkMode === wanted.HostConfig.NetworkMode &&
    (address === undefined || address === spec.address) &&
    host.Memory === wanted.HostConfig.Memory &&
    host.NanoCpus === wanted.HostConfig.NanoCpus &&
    host.PidsLimit === wanted.HostConfig.PidsLimit;
  if (same) return;
  throw new PlatformError(
    "conflict",
    `Cannot create container "${spec.name}": another one has that name; remove it first`,
    { cause },
  );
}

function isLeaving(found: ContainerInspection): boolean {
  return found.State.Status === "removing" || found.State.Dead;
}

/** Waits for the end of a removal under way; `engine_failed` when it takes longer than a call may. */
async function untilGone(client: DockerClient, name: string): Promise<void> {
  const deadline = performance.now() + client.timeoutMs;
  while ((await findContainer(client, name)) !== null) {
    if (performance.now() > deadline) {
      const detail = `Cannot remove container "${name}": its removal does not end; restart the Docker engine`;
      throw new PlatformError("engine_failed", detail);
    }
    await delay(POLL_MS);
  }
}
