import { PlatformError } from "../../kernel/errors.ts";
import { isOurs, LABEL_ENV } from "../../domain/environment/labels.ts";
import type { WorkloadAction, LogLine } from "../../workloads/workloads.ts";
import type { ContainerFacts, ContainerSpec, EngineEvent, NetworkSpec } from "../../workloads/docker/engine.ts";

/** What a container of an image does once it is started, beside running on. */
export type FakeBehaviour = {
  /** Lines on stdout. */
  prints?: string[];
  /** It exits with this code right after. */
  exitCode?: number;
  /** False: its command cannot be executed, and starting it fails. */
  runnable?: boolean;
};

type FakeImage = { id: string; ports: number[]; behaviour: FakeBehaviour };

/** An attachment; `networkId` is null until the container was started on it, as in Docker. */
type FakeAttachment = { address: string; aliases: string[]; networkId: string | null };

export type FakeContainer = Omit<ContainerFacts, "networks" | "homeNetwork"> & {
  image: string;
  /** What it was made of; null for one that is not ours. */
  spec: ContainerSpec | null;
  networks: Map<string, FakeAttachment>;
  log: LogLine[];
  /** Counts its starts: a follower belongs to one of them. */
  run: number;
  changed: Changed;
};

export type FakeNetwork = NetworkSpec & { id: string };

/** Lets many wait for the next change. */
export type Changed = {
  notify(): void;
  /** Resolves at the next `notify`, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void>;
};

/** All that the fake engine holds. */
export type FakeState = {
  instance: string;
  containers: Map<string, FakeContainer>;
  networks: Map<string, FakeNetwork>;
  images: Map<string, FakeImage>;
  /** Whether the engine answers. */
  available: boolean;
  listeners: Set<(event: EngineEvent) => void>;
  /** A number of its own for each id. */
  nextId(): string;
  /** Ascending, as the engine stamps lines. */
  stamp(): string;
};

export function createFakeState(instance: string): FakeState {
  let ids = 0;
  let millisecond = 0;
  let within = 0;
  return {
    instance,
    containers: new Map(),
    networks: new Map(),
    images: new Map(),
    available: true,
    listeners: new Set(),
    nextId: () => (++ids).toString(16).padStart(64, "0"),
    stamp() {
      const now = Math.max(Date.now(), millisecond);
      within = now === millisecond ? within + 1 : 0;
      millisecond = now;
      return `${new Date(now).toISOString().slice(0, -1)}${String(within).padStart(6, "0")}Z`;
    },
  };
}

export function createChanged(): Changed {
  const waiting = new Set<() => void>();
  return {
    notify() {
      for (const resolve of waiting) resolve();
      waiting.clear();
    },
    async next(signal) {
      if (signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      waiting.delete(wake);
      signal.removeEventListener("abort", wake);
    },
  };
}

/** Tells those who listen what happened to a container, if it is ours. */
export function emit(
  state: FakeState,
  action: WorkloadAction,
  container: FakeContainer,
  network: string | null = null,
): void {
  if (!isOurs(container.labels, state.instance)) return;
  const event = {
    action,
    container: container.name,
    env: container.labels[LABEL_ENV] ?? "",
    network,
    time: Date.now(),
  };
  for (const listener of state.listeners) listener(event);
}

export function isUp(container: FakeContainer): boolean {
  return container.state === "running" || container.state === "paused";
}

/** The container, proven ours; `conflict` when absent, `protected_target` when not ours. */
export function ownFakeContainer(state: FakeState, verb: string, name: string): FakeContainer {
  return own(state, verb, "container", name, state.containers.get(name));
}

/** The network, proven ours likewise. */
export function ownFakeNetwork(state: FakeState, verb: string, name: string): FakeNetwork {
  return own(state, verb, "network", name, state.networks.get(name));
}

function own<T extends { labels: Record<string, string> }>(
  state: FakeState,
  verb: string,
  kind: string,
  name: string,
  found: T | undefined,
): T {
  if (found === undefined) throw conflict(verb, kind, name, "it does not exist");
  if (isOurs(found.labels, state.instance)) return found;
  throw new PlatformError(
    "protected_target",
    `Cannot ${verb} ${kind} "${name}": it does not belong to this platform; choose one that does`,
  );
}

export function conflict(verb: string, kind: string, name: string, why: string): PlatformError {
  return new PlatformError("conflict", `Cannot ${verb} ${kind} "${name}": ${why}`);
}

/** Ends a container's run, as its own exit or a signal does. It stays attached, without holding an address. */
export function endRun(state: FakeState, container: FakeContainer, exitCode: number, oomKilled = false): void {
  if (!isUp(container)) return;
  container.state = "exited";
  container.exitCode = exitCode;
  container.oomKilled = oomKilled;
  if (oomKilled) emit(state, "oom", container);
  emit(state, "die", container);
  for (const network of container.networks.keys()) emit(state, "disconnect", container, network);
  container.changed.notify();
}

/** Removes a container whoever it belongs to. */
export function dropContainer(state: FakeState, container: FakeContainer): void {
  if (isUp(container)) emit(state, "kill", container);
  endRun(state, container, 137);
  state.containers.delete(container.name);
  emit(state, "destroy", container);
}

/** Removes a network whoever it belongs to. A container that does not run keeps naming it, as in Docker. */
export function dropNetwork(state: FakeState, network: FakeNetwork): void {
  for (const container of state.containers.values()) {
    if (!isUp(container) || !container.networks.delete(network.name)) continue;
    emit(state, "disconnect", container, network.name);
  }
  state.networks.delete(network.name);
}
