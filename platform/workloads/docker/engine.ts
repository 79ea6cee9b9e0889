import type { ImageFacts, LogLine, LogOptions, WorkloadAction } from "../workloads.ts";

/**
 * What the platform asks of a container engine. Every method is idempotent: asking for what is
 * already so succeeds. Failures are PlatformErrors: `engine_unavailable` when the engine cannot be
 * reached or does not answer in time, `engine_failed` when it refuses, or what a method names.
 * Methods that change or remove an object touch nothing but this instance's own, by label
 * (`protected_target` otherwise); where the object is absent they answer `conflict`, unless they say
 * that absent is fine. Where a caller's signal ends a wait, the method rejects with the signal's reason.
 */
export interface Engine {
  readonly containers: ContainerEngine;
  readonly networks: NetworkEngine;
  readonly images: ImageEngine;
  /** Version of the engine and of the API spoken; also the cheapest proof that it answers. */
  info(): Promise<{ version: string; apiVersion: string }>;
  /** Every container and network that carries this instance's label, in two calls. */
  observe(): Promise<EngineFacts>;
  /**
   * What happens to this instance's containers from this call on, to the millisecond. Reconnects by itself, and loses
   * no event meanwhile unless the engine itself was restarted or emitted more than it remembers (256);
   * ends, without an error, when `signal` aborts.
   */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
}

export interface ContainerEngine {
  /**
   * Creates a stopped container and returns its id. Its network need not exist before it is started. `image_not_found`
   * when the image is not there, `image_not_runnable` when it names no command and the spec gives none,
   * `invalid_request` when the engine refuses the spec (more CPUs than the machine has), `conflict`
   * when the name is taken by a container of another spec.
   */
  create(spec: ContainerSpec): Promise<string>;
  /**
   * `image_not_runnable` when the engine cannot execute it; a command that the container's init cannot
   * execute shows as an exit with 126 or 127 at once. `conflict` when it is paused or a network of its is gone. One that
   * the engine would start again by itself, but only after a while, is started at once.
   */
  start(name: string): Promise<void>;
  /** Removes it, running or not; absent is fine. */
  remove(name: string): Promise<void>;
  /** Sends a signal; a container that does not run is fine. A paused one dies of SIGKILL as well. */
  kill(name: string, signal: "SIGKILL" | "SIGHUP"): Promise<void>;
  /**
   * As kill with SIGKILL, for whoever removes it next: returns as soon as the processes have ended and their connections
   * are closed. The engine cleans up after them meanwhile, and `observe` may still show the container as running.
   */
  killProcesses(name: string): Promise<void>;
  /** Freezes it; not running → `conflict`. */
  pause(name: string): Promise<void>;
  /** Not paused is fine, running or not. */
  unpause(name: string): Promise<void>;
  /** Anyone's container, so that a guard can look at its labels; null when absent. */
  inspect(name: string): Promise<ContainerFacts | null>;
  /**
   * Runs a command inside as root and waits for its end; not running, or paused → `conflict`; not ended
   * within `timeoutMs` → `engine_failed`, while it goes on inside. `output` holds the first 64 KiB of both
   * streams. A command that cannot be executed exits with 126 or 127.
   */
  exec(
    name: string,
    command: string[],
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ exitCode: number; output: string }>;
  /** Starts a command inside as root and leaves it running; not running, or paused → `conflict`. */
  execDetached(name: string, command: string[]): Promise<void>;
  /**
   * Copies a folder (absolute path) out of an image into the same place of a container, running or not.
   * `image_not_found` as in create.
   */
  copyFromImage(name: string, image: string, folder: string): Promise<void>;
  /**
   * Lines the container wrote, oldest first, both streams, in batches of at most 256, as they arrive.
   * Reads no faster than it is iterated and holds a bounded amount in memory, however fast the container
   * writes; leaving the loop closes the connection. With `follow` it goes on until the container's
   * present run ends or `signal` aborts; both end it without an error. A restarted container's next run
   * needs a new call. `conflict` when the container is absent, `engine_unavailable` when the engine goes away.
   * A container that writes faster than its bounded log is read loses the oldest lines.
   */
  logs(name: string, options: LogOptions): AsyncIterable<LogLine[]>;
}

export interface NetworkEngine {
  /**
   * `address_pool_exhausted` when its subnet overlaps one that the engine already uses, `conflict` when
   * the name is taken by a network of another subnet or owner.
   */
  create(spec: NetworkSpec): Promise<void>;
  /** Removes it; whatever is still connected is disconnected first. Absent is fine. */
  remove(name: string): Promise<void>;
  /**
   * Attaches a container, running or not, at a fixed address and under DNS aliases; moves it there when
   * it is attached at another address.
   */
  connect(network: string, container: string, address: string, aliases?: string[]): Promise<void>;
  /**
   * Detaches it; not attached, or either one gone, is fine. A container that does not run lets go of a network that is
   * gone, which otherwise keeps it from starting.
   */
  disconnect(network: string, container: string): Promise<void>;
  /** IPv4 ranges (CIDR) of the engine's networks that are not this instance's. */
  foreignSubnets(): Promise<string[]>;
}

export interface ImageEngine {
  /**
   * The image's facts, pulling it where it is missing, from Docker Hub or a registry that the engine was given;
   * callers that ask for the same one share a pull. `image_not_found` when it cannot be had, with the engine's own
   * words in no more than its cause, `invalid_request` when `reference` is not an image reference.
   */
  ensure(reference: string, signal?: AbortSignal): Promise<ImageFacts>;
}

/** A container to create, in the platform's terms; container-spec.ts turns it into the engine's. */
export type ContainerSpec = {
  name: string;
  image: string;
  labels: Record<string, string>;
  env: Record<string, string>;
  /** Replaces the image's command; null keeps it. */
  command: string[] | null;
  network: string;
  address: string;
  aliases: string[];
  /** As in its network's spec: names that are not of this network are not asked for anywhere else. */
  internal?: boolean;
  /** MiB, cores, processes. */
  resources: { memory_mb: number; cpus: number; pids: number };
};

export type NetworkSpec = {
  name: string;
  /** CIDR. */
  subnet: string;
  gateway: string;
  labels: Record<string, string>;
  /** No way out of the network at all. */
  internal: boolean;
};

export type ContainerState = "created" | "running" | "paused" | "exited";

export type ContainerFacts = {
  id: string;
  name: string;
  labels: Record<string, string>;
  image: string;
  state: ContainerState;
  /** Of the last run; null while it runs or before it did. */
  exitCode: number | null;
  oomKilled: boolean;
  /** Networks it is attached to, by name, with its address there ("" while it is neither running nor paused). */
  networks: Record<string, string>;
  /** The fixed addresses it was given, by network, also while it does not run. */
  fixedAddresses: Record<string, string>;
  /** The network it was created on, also after it was disconnected or the network went. */
  homeNetwork: string;
};

export type NetworkFacts = { name: string; labels: Record<string, string>; subnet: string };

/** exitCode and oomKilled of observed containers are not known (null, false); inspect tells. */
export type EngineFacts = { containers: ContainerFacts[]; networks: NetworkFacts[] };

/**
 * A hint that something happened to a container of ours, the adapter's own helpers aside: `inspect` tells what is so.
 * On a busy machine the engine repeats `pause`, `unpause` and `disconnect`, late and among later events. `oom` comes at
 * most once a run, before or after `die`. Connect and disconnect name the network; env is "" for the platform's own parts.
 */
export type EngineEvent = {
  action: WorkloadAction;
  container: string;
  env: string;
  network: string | null;
  /** Milliseconds since the epoch. */
  time: number;
};
