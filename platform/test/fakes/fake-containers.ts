import { PlatformError } from "../../kernel/errors.ts";
import { delay } from "../../kernel/delay.ts";
import type { ContainerEngine, ContainerFacts, ContainerSpec } from "../../workloads/docker/engine.ts";
import { imageNotFound } from "../../workloads/docker/image-reference.ts";
import { readFakeLogs, writeFakeLog } from "./fake-logs.ts";
import {
  conflict,
  createChanged,
  dropContainer,
  emit,
  endRun,
  isUp,
  ownFakeContainer,
  type FakeContainer,
  type FakeState,
} from "./fake-state.ts";

type FakeExecResult = { exitCode: number; output: string };

/** What commands inside containers answer. */
export type FakeExec = (
  command: string[],
  container: string,
  signal: AbortSignal,
) => FakeExecResult | Promise<FakeExecResult>;

/** Containers in memory; `exec` is asked for what commands answer. */
export function createFakeContainers(state: FakeState, exec: () => FakeExec): ContainerEngine {
  return {
    async create(spec) {
      if (state.containers.has(spec.name))
        throw conflict("create", "container", spec.name, "another one has that name; remove it first");
      if (!state.images.has(spec.image)) throw imageNotFound(spec.image, "no such image");
      const container = newContainer(state.nextId(), spec);
      state.containers.set(spec.name, container);
      return container.id;
    },

    async start(name) {
      const container = ownFakeContainer(state, "start", name);
      if (container.state === "running") return;
      if (container.state === "paused") throw conflict("start", "container", name, "it is paused; unpause it");
      const behaviour = state.images.get(container.image)?.behaviour ?? {};
      if (behaviour.runnable === false) {
        throw new PlatformError(
          "image_not_runnable",
          `Cannot start container "${name}": its command cannot be executed`,
        );
      }
      attachAll(state, container);
      container.state = "running";
      container.exitCode = null;
      container.oomKilled = false;
      container.run++;
      for (const network of container.networks.keys()) emit(state, "connect", container, network);
      emit(state, "start", container);
      const { run } = container;
      for (const line of behaviour.prints ?? []) writeFakeLog(state, container, "stdout", line);
      const { exitCode } = behaviour;
      if (exitCode !== undefined)
        setImmediate(() => void (container.run === run && endRun(state, container, exitCode)));
    },

    async remove(name) {
      if (state.containers.has(name)) dropContainer(state, ownFakeContainer(state, "remove", name));
    },

    async kill(name, signal) {
      const container = ownFakeContainer(state, "kill", name);
      if (!isUp(container)) return;
      emit(state, "kill", container);
      if (signal === "SIGKILL") endRun(state, container, 137);
    },

    async pause(name) {
      const container = ownFakeContainer(state, "pause", name);
      if (container.state === "paused") return;
      if (container.state !== "running") throw conflict("pause", "container", name, "it is not running");
      container.state = "paused";
      emit(state, "pause", container);
    },

    async unpause(name) {
      const container = ownFakeContainer(state, "unpause", name);
      if (container.state !== "paused") return;
      container.state = "running";
      emit(state, "unpause", container);
    },

    async inspect(name) {
      const container = state.containers.get(name);
      return container === undefined ? null : fakeFacts(container);
    },

    async exec(name, command, { timeoutMs, signal }) {
      signal?.throwIfAborted();
      assertRunning(ownFakeContainer(state, "run a command in", name));
      const late = AbortSignal.timeout(timeoutMs);
      const ended = new AbortController();
      const limit = AbortSignal.any([late, ended.signal, ...(signal === undefined ? [] : [signal])]);
      try {
        const result = await Promise.race([exec()(command, name, limit), delay(timeoutMs, limit)]);
        signal?.throwIfAborted();
        if (result !== undefined && !late.aborted) return result;
        throw new PlatformError(
          "engine_failed",
          `Cannot wait longer for "${command[0]}" in container "${name}": it did not end within ${timeoutMs} ms`,
        );
      } finally {
        ended.abort();
      }
    },

    async execDetached(name, command) {
      assertRunning(ownFakeContainer(state, "run a command in", name));
      void Promise.resolve(exec()(command, name, new AbortController().signal)).catch(() => {});
    },

    async copyFromImage(name, image) {
      ownFakeContainer(state, "copy into", name);
      if (!state.images.has(image)) throw imageNotFound(image, "no such image");
    },

    logs: (name, options) => readFakeLogs(state, name, options),
  };
}

/** What the engine tells of a container. */
export function fakeFacts(container: FakeContainer): ContainerFacts {
  const { name, labels, state, exitCode, oomKilled, networks } = container;
  const addresses = [...networks].map(([network, { address }]) => [network, address] as const);
  return {
    id: container.id,
    name,
    labels: { ...labels },
    state,
    exitCode,
    oomKilled,
    networks: Object.fromEntries(addresses),
    homeNetwork: container.spec?.network ?? "",
  };
}

/** Takes the container's place in each of its networks; refuses, as Docker does, when one is gone or was replaced. */
function attachAll(state: FakeState, container: FakeContainer): void {
  for (const [name, attachment] of container.networks) {
    const network = state.networks.get(name);
    if (network === undefined || (attachment.networkId !== null && attachment.networkId !== network.id)) {
      throw conflict(
        "start",
        "container",
        container.name,
        `its network "${name}" is gone; remove it and create it anew`,
      );
    }
    assertAddressFree(state, name, attachment.address, container);
  }
  for (const [name, attachment] of container.networks) attachment.networkId = state.networks.get(name)?.id ?? null;
}

/** Throws `engine_failed` when a container that runs holds the address. */
export function assertAddressFree(state: FakeState, network: string, address: string, except: FakeContainer): void {
  for (const other of state.containers.values()) {
    if (other === except || !isUp(other) || other.networks.get(network)?.address !== address) continue;
    throw new PlatformError(
      "engine_failed",
      `Cannot connect container "${except.name}" to network "${network}": address ${address} is in use`,
    );
  }
}

function newContainer(id: string, spec: ContainerSpec): FakeContainer {
  return {
    id,
    name: spec.name,
    labels: { ...spec.labels },
    image: spec.image,
    state: "created",
    exitCode: null,
    oomKilled: false,
    spec: structuredClone(spec),
    networks: new Map([[spec.network, { address: spec.address, aliases: [...spec.aliases], networkId: null }]]),
    log: [],
    run: 0,
    changed: createChanged(),
  };
}

function assertRunning(container: FakeContainer): void {
  if (container.state !== "running")
    throw conflict("run a command in", "container", container.name, `it is ${container.state}`);
}
