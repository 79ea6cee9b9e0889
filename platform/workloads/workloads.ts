import type { Resources } from "../domain/environment/record.ts";
import type { ObservedService, Placement, ServiceState } from "../domain/plan/observed.ts";

/** One service of one environment: the name that everything outside of an adapter has for it. */
export type ServiceRef = { env: string; service: string };

/** A service to place, every value resolved. */
export type ServiceSpec = ServiceRef & {
  image: string;
  variables: Record<string, string>;
  /** Replaces the image's command; null keeps it. */
  command: string[] | null;
  port: number;
  /** MiB, cores, processes. */
  resources: Resources;
  /** Whether it may open connections to the outside. */
  egress: boolean;
};

/** The parts of one environment that are there, with or without a record of it. */
export type ActualEnvironment = {
  prepared: boolean;
  services: Record<string, ObservedService>;
  /** Every object that carries its label, such as `container sandbox-env-x-app`. */
  objects: string[];
};

export type ServiceFacts = {
  state: ServiceState;
  /** The container's name. */
  container: string;
  /** Of the last run; null while it runs or before it did. */
  exitCode: number | null;
  oomKilled: boolean;
};

/** `ports`: the TCP ports that the image exposes, ascending. */
export type ImageFacts = { id: string; ports: number[] };

export type LogOptions = {
  /** Only lines at or after this timestamp of a LogLine, exact to the nanosecond. */
  since?: string;
  /** Only the last so many; 16 KiB of a longer line count as one, so the first may be the end of a line. */
  tail?: number;
  follow: boolean;
  signal: AbortSignal;
};

export type LogLine = {
  /**
   * RFC 3339 with nine decimals, UTC, as the engine stamped it. Ascends within a stream, where only the pieces of a
   * split line share one; not between the streams.
   */
  timestamp: string;
  stream: "stdout" | "stderr";
  /** Without its line end. Bytes that are not UTF-8 become U+FFFD. At most 64 KiB; longer lines are split. */
  text: string;
  /** The next line of the stream goes on with this piece of a split line. */
  continued?: true;
};

export type WorkloadAction =
  | "start"
  | "die"
  | "oom"
  | "pause"
  | "unpause"
  | "kill"
  | "destroy"
  | "connect"
  | "disconnect";

/**
 * A hint that something happened: `observe` or `inspect` decides. `env` is "" for the edge proxy; `time` in milliseconds
 * since the epoch.
 */
export type WorkloadEvent = { action: WorkloadAction; env: string; time: number };

/** Ways to break a service that an adapter knows by itself; outages/ builds the others from `exec`. */
export type Fault = "kill" | "pause" | "disconnect";

/**
 * The place where services run: Docker on one machine (docker/), or later a cluster. Methods are idempotent: asking
 * for a state that is there already succeeds. Failures are PlatformErrors: `engine_unavailable` when the engine cannot
 * be reached or does not answer in time, `engine_failed` when it refuses, `protected_target` for an object that is not
 * this environment's own, by label, or a code that the method names. Where a caller's signal ends a wait, the method
 * rejects with the signal's reason.
 */
export interface Workloads {
  /** Kind and version of the engine; also the cheapest proof that it answers. */
  info(): Promise<{ kind: string; version: string }>;
  /** Environments that still fit into the address range. */
  capacity(): { environments: number };
  /**
   * The image's facts; pulls the image where it is missing. Callers that ask for the same one share a pull.
   * `image_not_found` when it cannot be had, `invalid_request` when `reference` is not an image reference.
   */
  ensureImage(reference: string, signal?: AbortSignal): Promise<ImageFacts>;
  /**
   * Reserves what an environment needs before anything is made: an address range, or, with `fromPool`, a network that is
   * kept ready. `remove` gives it back. Returns names for people to read. `address_pool_exhausted` when there is none.
   */
  reserve(environment: { env: string; services: readonly string[]; egress: boolean; fromPool: boolean }): {
    network: string;
    containers: Record<string, string>;
  };
  /** Makes the environment's network. `address_pool_exhausted` when the engine refuses its addresses. */
  prepare(environment: { env: string; egress: boolean }): Promise<void>;
  /**
   * Makes a service that does not run yet; may run beside `prepare`. `image_not_found`, `image_not_runnable` when the
   * image names no command and the spec gives none, `invalid_request` when the engine refuses the spec.
   */
  place(spec: ServiceSpec): Promise<Placement>;
  /** Starts a placed service and attaches the edge proxy to it. `image_not_runnable`, `conflict` when it is absent. */
  start(ref: ServiceRef): Promise<void>;
  /**
   * Removes everything of an environment and gives its reservation back. With `requestsInFlight` the edge proxy stays
   * attached until the services have ended, so that open requests end with them.
   */
  remove(env: string, options: { requestsInFlight: boolean }): Promise<void>;
  /** Everything that carries this platform's label, by environment. */
  observe(): Promise<ReadonlyMap<string, ActualEnvironment>>;
  /** Removes objects of no environment and no pool, such as leftovers of a killed platform; returns their names. */
  tidy(): Promise<string[]>;
  /** One service, looked at now; null when absent, `protected_target` when another owner has its name. */
  inspect(ref: ServiceRef): Promise<ServiceFacts | null>;
  /** Events of services and the edge proxy from this call on; ends, without an error, when `signal` aborts. */
  events(signal: AbortSignal): AsyncIterable<WorkloadEvent>;
  /**
   * Lines a service wrote, oldest first, both streams, in batches of at most 256, as they arrive. Reads no faster than
   * it is iterated. With `follow` it goes on until the present run ends or `signal` aborts; both end it without an
   * error. `conflict` when the service is absent, `engine_unavailable` when the engine goes away.
   */
  logs(ref: ServiceRef, options: LogOptions): AsyncIterable<LogLine[]>;
  /**
   * Runs a command inside as root and waits for its end; not running → `conflict`; not ended within `timeoutMs` →
   * `engine_failed`, while it goes on inside. `output` holds the first 64 KiB of both streams. A command that cannot
   * be executed exits with 126 or 127.
   */
  exec(
    ref: ServiceRef,
    command: string[],
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ exitCode: number; output: string }>;
  /** Starts a command inside as root and leaves it running; not running → `conflict`. */
  execDetached(ref: ServiceRef, command: string[]): Promise<void>;
  /** Copies a folder (absolute path) out of an image into the same place of a service. */
  copyFromImage(ref: ServiceRef, image: string, folder: string): Promise<void>;
  /** Breaks a running service; not running → `conflict`. */
  inject(ref: ServiceRef, fault: Fault): Promise<void>;
  /** Undoes a fault; not in force is fine. A killed service is started instead. */
  revert(ref: ServiceRef, fault: Exclude<Fault, "kill">): Promise<void>;
}

/** A pool of networks that are kept ready. */
export interface NetworkPool {
  /** Makes the missing networks, in the background. */
  refill(): void;
  /** Why no network may be made now, such as a full disk or few subnets left; null when one may. */
  refusal(): Promise<string | null>;
  stats(): { ready: number; wanted: number; lastError: string | null };
}

/** The edge proxy's container. */
export interface EdgeContainer {
  /**
   * Gets the container going again: reconnected to the platform's network, unpaused, started. Returns its steps, in
   * words. `beforeStart` runs where it has to be started. Throws when the container is gone, which only `make up` mends.
   */
  repair(options: { beforeStart(): Promise<unknown> }): Promise<string[]>;
  hasExited(): Promise<boolean>;
}
