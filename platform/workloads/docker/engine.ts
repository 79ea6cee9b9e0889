import type { ImageFacts, ServiceSpec, WorkloadEvent, Workloads } from "../workloads.ts";

/**
 * One Docker engine, which the adapter's Workloads are made of. Methods, failures and signals are as in workloads.ts,
 * said of containers instead of services. Methods that change or remove an object touch this instance's own alone, by
 * label (`protected_target` otherwise); where it is absent they answer `conflict`, unless they say that absent is fine.
 */
export interface Engine {
  readonly containers: ContainerEngine;
  readonly networks: NetworkEngine;
  readonly images: ImageEngine;
  /** Version of the engine and of the API spoken. */
  info(): Promise<{ version: string; apiVersion: string }>;
  /** Every container and network that carries this instance's label, in two calls. */
  observe(): Promise<EngineFacts>;
  /**
   * As Workloads.events, of this instance's containers. Reconnects by itself, and loses no event meanwhile unless the
   * engine itself was restarted or emitted more than it remembers (256).
   */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
}

export interface ContainerEngine {
  /**
   * Creates a stopped container and returns its id. Its network need not exist before it is started. Fails as
   * Workloads.place does, and with `conflict` when the name is taken.
   */
  create(spec: ContainerSpec): Promise<string>;
  /**
   * `image_not_runnable` when the engine cannot execute it; a command that the container's init cannot execute shows as
   * an exit with 126 or 127. `conflict` when it is paused or lacks a network. One that the engine starts again by itself
   * after a while is started at once.
   */
  start(name: string): Promise<void>;
  /** Removes it, running or not; absent is fine. */
  remove(name: string): Promise<void>;
  /**
   * Sends a signal; a container that does not run is fine. With SIGKILL, of which a paused one dies as well, it returns
   * as soon as the processes have ended and their connections are closed. The engine cleans up after them meanwhile:
   * other calls for the container wait for that, but `observe` may still show it as running.
   */
  kill(name: string, signal: "SIGKILL" | "SIGHUP"): Promise<void>;
  /** Freezes it; not running → `conflict`. */
  pause(name: string): Promise<void>;
  /** Not paused is fine, running or not. */
  unpause(name: string): Promise<void>;
  /** A container of any owner, so that a guard can look at its labels; null when absent. */
  inspect(name: string): Promise<ContainerFacts | null>;
  /** Paused → `conflict`, as not running. */
  exec: OfContainer<Workloads["exec"]>;
  execDetached: OfContainer<Workloads["execDetached"]>;
  /** `image_not_found` as in create. The container need not run. */
  copyFromImage: OfContainer<Workloads["copyFromImage"]>;
  /** Holds a bounded amount in memory; a container that writes faster than its log is read loses the oldest lines. */
  logs: OfContainer<Workloads["logs"]>;
}

/** The same method, for a container by its name. */
type OfContainer<M> = M extends (ref: never, ...rest: infer R) => infer T ? (name: string, ...rest: R) => T : never;

export interface NetworkEngine {
  /**
   * `address_pool_exhausted` when its subnet overlaps one in use, `conflict` when a network of another subnet or owner
   * has the name.
   */
  create(spec: NetworkSpec): Promise<void>;
  /** Removes it; what is still connected is disconnected first. Absent is fine. */
  remove(name: string): Promise<void>;
  /** Attaches a container, running or not, at a fixed address and under DNS aliases, or moves it to that address. */
  connect(network: string, container: string, address: string, aliases?: string[]): Promise<void>;
  /**
   * Detaches it; not attached, or either one gone, is fine. A container that does not run lets go of a network that is
   * gone, which otherwise keeps it from starting.
   */
  disconnect(network: string, container: string): Promise<void>;
  /** Ranges (CIDR) of all the engine's networks, of any owner, with the network's name. */
  subnets(): Promise<{ network: string; subnet: string }[]>;
}

export interface ImageEngine {
  /** As Workloads.ensureImage, from Docker Hub or a registry that the engine was given. */
  ensure(reference: string, signal?: AbortSignal): Promise<ImageFacts>;
}

/** A container to create, in the platform's terms; container-spec.ts turns it into the engine's. */
export type ContainerSpec = Pick<ServiceSpec, "image" | "command" | "resources"> & {
  name: string;
  labels: Record<string, string>;
  env: Record<string, string>;
  network: string;
  address: string;
  aliases: string[];
  /** As in its network's spec: names that are not of this network are not asked for anywhere else. */
  internal?: boolean;
};

/** `subnet` in CIDR; `internal`: no way out of the network at all. */
export type NetworkSpec = NetworkFacts & { gateway: string; internal: boolean };

export type ContainerFacts = {
  id: string;
  name: string;
  labels: Record<string, string>;
  state: "created" | "running" | "paused" | "exited";
  /** Of the last run; null while it runs or before it did. */
  exitCode: number | null;
  oomKilled: boolean;
  /**
   * Networks it is attached to, by name, with its address there: while it neither runs nor is paused, the fixed address
   * that it will have, "" where it has none.
   */
  networks: Record<string, string>;
  /** The network it was created on, also after it was disconnected or the network went. */
  homeNetwork: string;
};

export type NetworkFacts = { name: string; labels: Record<string, string>; subnet: string };

/** exitCode and oomKilled of observed containers are not known (null, false); inspect tells. */
export type EngineFacts = { containers: ContainerFacts[]; networks: NetworkFacts[] };

/**
 * A hint about a container of ours, the adapter's own helpers aside. On a busy machine the engine repeats `pause`,
 * `unpause` and `disconnect`, late and among later events. `oom` comes at most once a run, before or after `die`.
 * Connect and disconnect name the network; env is "" for the platform's own parts.
 */
export type EngineEvent = WorkloadEvent & { container: string; network: string | null };
