import { PlatformError } from "../domain/errors.ts";
import { isOurs } from "../domain/labels.ts";
import { delay } from "../runtime/delay.ts";
import { buildContainerBody, type ContainerBody } from "./container-spec.ts";
import type { Docker, DockerClient } from "./docker-client.ts";
import { statusOf } from "./docker-errors.ts";
import { containerFacts, findContainer, guard, ownContainer, type ContainerInspection } from "./docker-lookup.ts";
import type { ContainerEngine, ContainerSpec } from "./engine.ts";

/** How often a container on its way out is looked at. */
const POLL_MS = 50;

type Lifecycle = Pick<ContainerEngine, "create" | "start" | "remove" | "kill" | "pause" | "unpause" | "inspect">;

/** Containers' life from create to remove, on a Docker engine. */
export function createDockerContainers(client: DockerClient): Lifecycle {
  async function create(spec: ContainerSpec): Promise<void> {
    const body = buildContainerBody(spec);
    try {
      await createContainer(client, spec.name, body);
    } catch (error) {
      if (statusOf(error) === 400) throw await refusedSpec(client, spec, error);
      if (statusOf(error) !== 409) throw error;
      const existing = await findContainer(client, spec.name);
      if (existing !== null && !isLeaving(existing)) return assertSame(client, existing, spec, error);
      // The name is taken until the removal under way has ended.
      await untilGone(client, spec.name);
      await createContainer(client, spec.name, body);
    }
  }

  async function start(name: string): Promise<void> {
    const { Id } = await ownContainer(client, "start", name);
    const codes = { 400: "image_not_runnable", 404: "conflict", 409: "conflict" } as const;
    await unless(
      [304],
      client.change(`start container "${name}"`, (docker) => docker.getContainer(Id).start(), codes),
    );
  }

  async function remove(name: string): Promise<void> {
    const found = await findContainer(client, name);
    if (found === null) return;
    guard(client, "remove", "container", name, found.Config.Labels);
    const status = await unless(
      [404, 409],
      // Its anonymous volumes go with it, or every environment would leave some behind.
      client.change(`remove container "${name}"`, (docker) =>
        docker.getContainer(found.Id).remove({ force: true, v: true }),
      ),
    );
    if (status === 409) await untilGone(client, name);
  }

  async function kill(name: string, signal: "SIGKILL" | "SIGHUP"): Promise<void> {
    const { Id } = await ownContainer(client, "kill", name);
    const codes = { 404: "conflict" } as const;
    await unless(
      [409],
      client.call(`kill container "${name}"`, (docker) => docker.getContainer(Id).kill({ signal }), codes),
    );
  }

  async function pause(name: string): Promise<void> {
    const { Id } = await ownContainer(client, "pause", name);
    const codes = { 404: "conflict", 409: "conflict" } as const;
    try {
      await client.call(`pause container "${name}"`, (docker) => docker.getContainer(Id).pause(), codes);
    } catch (error) {
      const now = statusOf(error) === 409 ? await findContainer(client, name) : null;
      if (now?.State.Status !== "paused") throw error;
    }
  }

  async function unpause(name: string): Promise<void> {
    const { Id } = await ownContainer(client, "unpause", name);
    try {
      await client.call(`unpause container "${name}"`, (docker) => docker.getContainer(Id).unpause(), {
        404: "conflict",
      });
    } catch (error) {
      // "Not paused" is a plain 500 on older engines: look.
      const now = await findContainer(client, name);
      if (now === null || now.State.Status === "paused") throw error;
    }
  }

  async function inspect(name: string) {
    const found = await findContainer(client, name);
    return found === null ? null : containerFacts(found);
  }

  return { create, start, remove, kill, pause, unpause, inspect };
}

/** Creates a container; the body, environment included, travels in the body: dockerode would put it into the URL. */
export async function createContainer(
  client: DockerClient,
  name: string,
  body: object & Pick<ContainerBody, "Image">,
): Promise<void> {
  const options = { _query: { name }, _body: body } as unknown as Parameters<Docker["createContainer"]>[0];
  const codes = { 400: "invalid_request", 404: "image_not_found", 409: "conflict" } as const;
  await client.change(
    `create container "${name}" from image "${body.Image}"`,
    (docker) => docker.createContainer(options),
    codes,
  );
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
  const deadline = Date.now() + client.timeoutMs;
  while ((await findContainer(client, name)) !== null) {
    if (Date.now() > deadline) {
      const detail = `Cannot remove container "${name}": its removal does not end; restart the Docker engine`;
      throw new PlatformError("engine_failed", detail);
    }
    await delay(POLL_MS);
  }
}
