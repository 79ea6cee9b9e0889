import { Agent } from "node:http";
import { availableParallelism } from "node:os";
import type { Readable } from "node:stream";
import { inspect } from "node:util";
import Docker from "dockerode";
import PQueue from "p-queue";
import { isPlatformError, PlatformError } from "../../kernel/errors.ts";
import { engineTimeout, toPlatformError, type StatusCodes } from "./errors.ts";

export type { Docker };

/** The API versions whose answers this adapter knows; the oldest is that of Docker 20.10. */
const OLDEST_API = "1.41";
const NEWEST_API = "1.47";

/** More changes at once only wait for each other inside the engine (docs/performance.md). */
const CHANGES_AT_ONCE = Math.max(4, availableParallelism());
/** The engine makes and removes one network after the other, under a lock: the one in there, and the next. */
const NETWORKS_AT_ONCE = 2;
/** How many times the limit of one call a change waits in its lane: then the engine is as good as away. */
const QUEUE_LIMITS = 4;

/** How to reach the engine. */
export type DockerOptions = {
  socketPath: string;
  /** The instance whose objects may be changed, by label. */
  instance: string;
  /** How long one call may take. Following logs and events, pulls and copies have limits of their own. */
  timeoutMs: number;
  /** Where images may be pulled from beside Docker Hub (domain/image-registries.ts). */
  registries?: readonly string[];
  /** Once it aborts, changes that still wait are refused with `shutting_down`, and so is a copy in progress. */
  cutOff?: AbortSignal;
};

/** Ids of containers and networks by name, whose labels were checked to be ours. */
export type OwnershipCache = Record<"container" | "network", Map<string, string>>;

/**
 * Where a change waits for its turn at the engine, which does such work one after the other anyway: waiting here does
 * not use up a call's time there. `high` continues an operation, and comes before `low`, which begins one: the first
 * of many deletes removes its network while others are still to be killed. Networks wait for each other alone.
 */
export type Lane = "low" | "high" | "network";

/** `codes` tells what an HTTP status means; without a `lane` the call is made at once; `limitMs` replaces `timeoutMs`. */
type CallOptions = { codes?: StatusCodes; lane?: Lane; limitMs?: number };

/** The way to the engine: every call is timed, speaks a pinned API version and fails with a PlatformError. */
export type DockerClient = Required<DockerOptions> & {
  owned: OwnershipCache;
  /** One call and its whole answer. `action` completes "Cannot …". */
  call<T>(action: string, perform: (docker: Docker) => Promise<T>, options?: CallOptions): Promise<T>;
  /**
   * A call answered by a stream, which has no time limit once it began. The `signal` handed to `perform`
   * belongs to the request: aborting the caller's ends the stream with an error.
   */
  stream(
    action: string,
    perform: (docker: Docker, signal: AbortSignal) => Promise<NodeJS.ReadableStream>,
    codes?: StatusCodes,
    signal?: AbortSignal,
  ): Promise<Readable>;
  /** Asks the engine for its versions anew, and speaks the one they have in common from then on. */
  negotiate(): Promise<EngineVersion>;
};

type EngineVersion = { version: string; apiVersion: string };

/** A client for the engine at a socket. The engine need not be there yet, and may come and go. */
export function createDockerClient(options: DockerOptions): DockerClient {
  const { socketPath, timeoutMs, registries = [], cutOff = new AbortController().signal } = options;
  const calls = connect(socketPath, timeoutMs);
  // docker-modem's time limit is one of silence, which is what a stream of events mostly is.
  const streams = connect(socketPath, 0);
  const inLane = createEngineQueue();
  let pinned: Promise<EngineVersion> | null = null;

  async function negotiate(): Promise<EngineVersion> {
    try {
      const answer = await within(timeoutMs, connect(socketPath, timeoutMs).version());
      const apiVersion = chooseApiVersion(answer.ApiVersion, answer.MinAPIVersion ?? OLDEST_API);
      // Without this docker-modem names no version, and a newer engine answers in ways not known here.
      for (const docker of [calls, streams]) Object.assign(docker.modem, { version: `v${apiVersion}` });
      return { version: answer.Version, apiVersion };
    } catch (error) {
      throw toPlatformError(error, "ask the engine for its version");
    }
  }

  /** Pins the version once; tried anew by the next call while the engine is away. */
  async function ready(): Promise<void> {
    const attempt = (pinned ??= negotiate());
    try {
      await attempt;
    } catch (error) {
      if (pinned === attempt) pinned = null;
      throw error;
    }
  }

  return {
    ...options,
    registries,
    cutOff,
    owned: { container: new Map(), network: new Map() },

    async call(action, perform, { codes, lane, limitMs } = {}) {
      async function ask() {
        try {
          await ready();
          return await within(limitMs ?? timeoutMs, perform(limitMs === undefined ? calls : streams));
        } catch (error) {
          throw toPlatformError(error, action, codes);
        }
      }
      if (lane === undefined) return ask();
      const [asked, queueLimitMs] = [performance.now(), QUEUE_LIMITS * timeoutMs];
      return inLane(lane, async () => {
        if (cutOff.aborted) throw new PlatformError("shutting_down", `Cannot ${action}: the platform is shutting down`);
        if (performance.now() - asked < queueLimitMs) return ask();
        throw toPlatformError(engineTimeout(queueLimitMs), action);
      });
    },

    async stream(action, perform, codes, signal) {
      const late = new AbortController();
      try {
        await ready();
        signal?.throwIfAborted();
        const request = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
        return (await within(timeoutMs, perform(streams, request))) as Readable;
      } catch (error) {
        late.abort();
        if (signal?.aborted === true && !isPlatformError(error)) throw signal.reason;
        throw toPlatformError(error, action, codes);
      }
    },

    negotiate,
  };
}

/** A function that does `work` once it is its turn. Within a lane, the first to ask comes first. */
export function createEngineQueue(): <T>(lane: Lane, work: () => Promise<T>) => Promise<T> {
  const networks = new PQueue({ concurrency: NETWORKS_AT_ONCE });
  const others = new PQueue({ concurrency: CHANGES_AT_ONCE });
  return (lane, work) =>
    lane === "network" ? networks.add(work) : others.add(work, { priority: lane === "high" ? 1 : 0 });
}

/** The newest API version that both sides know. Throws `engine_failed` where there is none. */
export function chooseApiVersion(newest: string, oldest: string): string {
  const chosen = isBelow(newest, NEWEST_API) ? newest : NEWEST_API;
  if (!isBelow(chosen, OLDEST_API) && !isBelow(chosen, oldest)) return chosen;
  const versions = `it speaks API ${oldest} to ${newest}, the platform ${OLDEST_API} to ${NEWEST_API}`;
  throw new PlatformError("engine_failed", `Cannot use this Docker engine: ${versions}; install Docker 20.10 or newer`);
}

function isBelow(a: string, b: string): boolean {
  return a.localeCompare(b, "en", { numeric: true }) < 0;
}

function connect(socketPath: string, timeout: number): Docker {
  // Named although empty: docker-modem would take what is not named from DOCKER_HOST.
  const elsewhere = { host: undefined, port: undefined, protocol: "http" };
  return new Docker({ ...elsewhere, socketPath, timeout, agent: new OpaqueAgent() } as unknown as Docker.DockerOptions);
}

/**
 * docker-modem describes the agent with all its sockets at every request, for a debug log that is off: this one has
 * nothing to describe. A connection serves one request, as one kept open over a restart of the engine fails the next.
 */
export class OpaqueAgent extends Agent {
  constructor() {
    super({ keepAlive: false });
  }

  [inspect.custom](): string {
    return "Agent";
  }
}

/** The result of `work`, or engineTimeout: docker-modem itself waits forever for the end of an answer that began. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(engineTimeout(limitMs)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
