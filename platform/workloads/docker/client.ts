import type { Readable } from "node:stream";
import Docker from "dockerode";
import { isPlatformError, PlatformError } from "../../kernel/errors.ts";
import { EngineTimeout, toPlatformError, type StatusCodes } from "./errors.ts";
import { QuietAgent } from "./opaque-agent.ts";
import { createTurns, type Turn } from "./engine-queue.ts";

export type { Docker };

/** The API versions whose answers this adapter knows; the oldest is that of Docker 20.10. */
const OLDEST_API = "1.41";
const NEWEST_API = "1.47";

/** How many times the limit of one call a turn is waited for: then the engine is as good as away. */
const QUEUE_LIMITS = 4;

type EngineVersion = { version: string; apiVersion: string };

/** How to reach the engine. */
export type DockerOptions = {
  socketPath: string;
  /** The instance whose objects may be changed, by label. */
  instance: string;
  /** How long one call may take. Following logs and events, pulls and copies have limits of their own. */
  timeoutMs: number;
  /** Where images may be pulled from beside Docker Hub (domain/image-registries.ts). */
  registries?: readonly string[];
  /** Once it aborts, what still waits for its turn at the engine is refused with `shutting_down`, and so is a copy under way. */
  cutOff?: AbortSignal;
};

/** Ids of containers and networks by name, whose labels were checked to be ours. */
export type OwnershipCache = Record<"container" | "network", Map<string, string>>;

/** The way to the engine: every call is timed, speaks a pinned API version and fails with a PlatformError. */
export type DockerClient = DockerOptions & {
  owned: OwnershipCache;
  /** One call and its whole answer. `action` completes "Cannot …"; `codes` says what statuses mean. */
  call<T>(action: string, call: (docker: Docker) => Promise<T>, codes?: StatusCodes, limitMs?: number): Promise<T>;
  /**
   * As `call`, for what takes the engine long: a few at a time. The engine does such work one after the
   * other anyway, and what waits here does not use up its time there.
   */
  change<T>(turn: Turn, action: string, call: (docker: Docker) => Promise<T>, codes?: StatusCodes): Promise<T>;
  /**
   * A call answered by a stream, which has no time limit once it began. The `signal` handed to `call`
   * belongs to the request: aborting the caller's ends the stream with an error.
   */
  stream(
    action: string,
    call: (docker: Docker, signal: AbortSignal) => Promise<NodeJS.ReadableStream | NodeJS.ReadWriteStream>,
    codes?: StatusCodes,
    signal?: AbortSignal,
  ): Promise<Readable>;
  /** Asks the engine for its versions anew, and speaks the one they have in common from then on. */
  negotiate(): Promise<EngineVersion>;
};

/** A client for the engine at a socket. The engine need not be there yet, and may come and go. */
export function createDockerClient(options: DockerOptions): DockerClient {
  const { socketPath, timeoutMs } = options;
  const plain = connect(socketPath, timeoutMs);
  const calls = connect(socketPath, timeoutMs);
  // docker-modem's time limit is one of silence, which is what a stream of events mostly is.
  const streams = connect(socketPath, 0);
  const inTurn = createTurns();
  let pinned: Promise<EngineVersion> | null = null;

  async function negotiate(): Promise<EngineVersion> {
    try {
      const answer = await within(timeoutMs, plain.version());
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

  async function call<T>(
    action: string,
    perform: (docker: Docker) => Promise<T>,
    codes?: StatusCodes,
    limitMs: number = timeoutMs,
  ): Promise<T> {
    try {
      await ready();
      // A longer limit needs the client without one of its own.
      return await within(limitMs, perform(limitMs > timeoutMs ? streams : calls));
    } catch (error) {
      throw toPlatformError(error, action, codes);
    }
  }

  async function change<T>(
    turn: Turn,
    action: string,
    perform: (docker: Docker) => Promise<T>,
    codes?: StatusCodes,
  ): Promise<T> {
    const asked = performance.now();
    return inTurn(turn, async () => {
      if (options.cutOff?.aborted === true)
        throw new PlatformError("shutting_down", `Cannot ${action}: the platform is shutting down`);
      if (performance.now() - asked < QUEUE_LIMITS * timeoutMs) return call(action, perform, codes);
      throw toPlatformError(new EngineTimeout(QUEUE_LIMITS * timeoutMs), action);
    });
  }

  async function stream(
    action: string,
    perform: (docker: Docker, signal: AbortSignal) => Promise<NodeJS.ReadableStream>,
    codes?: StatusCodes,
    signal?: AbortSignal,
  ): Promise<Readable> {
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
  }

  const owned: OwnershipCache = { container: new Map(), network: new Map() };
  return { ...options, owned, call, change, stream, negotiate };
}

/** The newest API version that both sides know. Throws `engine_failed` where there is none. */
export function chooseApiVersion(newest: string, oldest: string): string {
  const chosen = compareVersions(newest, NEWEST_API) < 0 ? newest : NEWEST_API;
  if (compareVersions(chosen, OLDEST_API) >= 0 && compareVersions(chosen, oldest) >= 0) return chosen;
  const versions = `it speaks API ${oldest} to ${newest}, the platform ${OLDEST_API} to ${NEWEST_API}`;
  throw new PlatformError("engine_failed", `Cannot use this Docker engine: ${versions}; install Docker 20.10 or newer`);
}

function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}

function connect(socketPath: string, timeout: number): Docker {
  // Named although empty: docker-modem would take what is not named from DOCKER_HOST. A connection
  // serves one request, as one kept open across a restart of the engine would fail the next.
  const elsewhere = { host: undefined, port: undefined, protocol: "http" } as unknown as Docker.DockerOptions;
  return new Docker({
    ...elsewhere,
    socketPath,
    timeout,
    agent: new QuietAgent(),
  } as Docker.DockerOptions);
}

/** The result of `work`, or an EngineTimeout: docker-modem itself waits forever for the end of an answer that began. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new EngineTimeout(limitMs)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
