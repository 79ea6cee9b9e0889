import { PlatformError } from "../../kernel/errors.ts";
import { isOurs } from "../../domain/environment/labels.ts";
import type { LogLine } from "../../workloads/workloads.ts";
import type {
  ContainerEngine,
  Engine,
  EngineEvent,
  ImageEngine,
  NetworkEngine,
} from "../../workloads/docker/engine.ts";
import { createFakeContainers, fakeFacts, type FakeExec } from "./fake-containers.ts";
import { writeFakeLog } from "./fake-logs.ts";
import { createFakeNetworks } from "./fake-networks.ts";
import {
  createChanged,
  createFakeState,
  dropContainer,
  dropNetwork,
  endRun,
  type FakeBehaviour,
  type FakeContainer,
  type FakeState,
} from "./fake-state.ts";
import { assertMayPull, imageNotFound, readImageReference } from "../../workloads/docker/image-reference.ts";

/** The engine's methods by their path, as the call log and `failNext` name them. */
type FakeMethod =
  | "info"
  | "observe"
  | "events"
  | `containers.${keyof ContainerEngine}`
  | `networks.${keyof NetworkEngine}`
  | `images.${keyof ImageEngine}`;

/** What a test does beside calling the engine: play the machine, the containers and other people. */
type FakeControls = {
  /** Every call since the start, in order. */
  readonly calls: { method: FakeMethod; args: unknown[] }[];
  /** Puts an image on the machine; no other image can be had. */
  addImage(reference: string, ports?: number[], behaviour?: FakeBehaviour): void;
  /** A container writes: whole lines, the last line end may be missing. */
  writeLog(container: string, stream: LogLine["stream"], text: string): void;
  /** A container ends by itself. */
  exit(container: string, exitCode: number, options?: { oomKilled?: boolean }): void;
  /** The next calls of a method fail with this error, one unless told otherwise. */
  failNext(method: FakeMethod, error: Error, times?: number): void;
  /** Decides what commands inside containers answer; they succeed without a word otherwise. */
  onExec(handler: FakeExec): void;
  /** Someone removes a container or network with the engine's own tools, labels or not. */
  removeBehindOurBack(name: string): void;
  /** A running container of somebody else. */
  addForeignContainer(name: string): void;
  /** A network of somebody else. */
  addForeignNetwork(name: string, subnet: string): void;
  /** Takes the engine away, or brings it back: meanwhile calls fail with `engine_unavailable`. */
  setAvailable(available: boolean): void;
};

export type FakeEngine = Engine & FakeControls;

/**
 * An Engine in memory, for tests: it keeps the promises of engine.ts and shows what Docker shows, as
 * the contract suite proves on both. Runs nothing; containers run on until a test says otherwise.
 */
export function createFakeEngine({ instance }: { instance: string }): FakeEngine {
  const state = createFakeState(instance);
  const calls: FakeControls["calls"] = [];
  const failures: { method: FakeMethod; error: Error }[] = [];
  let exec: FakeExec = succeed;

  function nextFailure(method: FakeMethod): Error | null {
    const index = failures.findIndex((failure) => failure.method === method);
    const [failure] = index === -1 ? [] : failures.splice(index, 1);
    if (failure !== undefined) return failure.error;
    if (state.available || method === "events") return null;
    return new PlatformError("engine_unavailable", `Cannot call ${method}: the Docker engine is unavailable; start it`);
  }

  /** The same methods, noted in the call log and failing where a test wants them to. */
  function observed<T extends object>(prefix: string, methods: T): T {
    const entries = Object.entries(methods as Record<string, (...args: unknown[]) => unknown>).map(([key, perform]) => {
      const method = `${prefix}${key}` as FakeMethod;
      const isStream = method === "events" || method === "containers.logs";
      return [
        key,
        (...args: unknown[]) => {
          calls.push({ method, args });
          const failure = nextFailure(method);
          if (failure === null) return perform(...args);
          return isStream ? failingStream(failure) : Promise.reject(failure);
        },
      ] as const;
    });
    return Object.fromEntries(entries) as T;
  }

  return {
    containers: observed(
      "containers.",
      createFakeContainers(state, () => exec),
    ),
    networks: observed("networks.", createFakeNetworks(state)),
    images: observed("images.", createFakeImages(state)),
    ...observed<Pick<Engine, "info" | "observe" | "events">>("", {
      info: async () => ({ version: "fake", apiVersion: "1.41" }),
      observe: async () => observe(state),
      events: (signal) => followEvents(state, signal),
    }),
    ...createControls(state),
    calls,
    failNext(method, error, times = 1) {
      for (let i = 0; i < times; i++) failures.push({ method, error });
    },
    onExec(handler) {
      exec = handler;
    },
  };
}

function createControls(state: FakeState): Omit<FakeControls, "calls" | "failNext" | "onExec"> {
  function find(name: string): FakeContainer {
    const container = state.containers.get(name);
    if (container === undefined) throw new TypeError(`The fake engine has no container "${name}"`);
    return container;
  }
  return {
    addImage(reference, ports = [], behaviour = {}) {
      state.images.set(reference, {
        id: `sha256:${state.nextId()}`,
        ports: [...ports].sort((a, b) => a - b),
        behaviour,
      });
    },
    writeLog: (name, stream, text) => writeFakeLog(state, find(name), stream, text),
    exit: (name, exitCode, { oomKilled = false } = {}) => endRun(state, find(name), exitCode, oomKilled),
    removeBehindOurBack(name) {
      const network = state.networks.get(name);
      if (network === undefined) dropContainer(state, find(name));
      else dropNetwork(state, network);
    },
    addForeignContainer(name) {
      const facts = {
        name,
        labels: {},
        image: "foreign:latest",
        state: "running",
        exitCode: null,
        oomKilled: false,
      } as const;
      state.containers.set(name, {
        ...facts,
        id: state.nextId(),
        spec: null,
        networks: new Map(),
        log: [],
        run: 1,
        changed: createChanged(),
      });
    },
    addForeignNetwork(name, subnet) {
      state.networks.set(name, { name, subnet, gateway: "", labels: {}, internal: false, id: state.nextId() });
    },
    setAvailable(available) {
      state.available = available;
      for (const container of state.containers.values()) container.changed.notify();
    },
  };
}

function createFakeImages(state: FakeState): ImageEngine {
  return {
    async ensure(reference, signal) {
      const parsed = readImageReference(reference);
      signal?.throwIfAborted();
      const image = state.images.get(reference);
      if (image !== undefined) return { id: image.id, ports: [...image.ports] };
      assertMayPull(reference, parsed, []);
      throw imageNotFound(reference, "no such image");
    },
  };
}

function observe(state: FakeState) {
  const containers = [...state.containers.values()].filter(({ labels }) => isOurs(labels, state.instance));
  const networks = [...state.networks.values()].filter(({ labels }) => isOurs(labels, state.instance));
  return {
    containers: containers.map((container) => ({ ...fakeFacts(container), exitCode: null, oomKilled: false })),
    networks: networks.map(({ name, labels, subnet }) => ({ name, labels: { ...labels }, subnet })),
  };
}

/** Listens from the call on, not from when the first event is asked for. */
function followEvents(state: FakeState, signal: AbortSignal): AsyncIterable<EngineEvent> {
  const queue: EngineEvent[] = [];
  const changed = createChanged();
  const listener = (event: EngineEvent): void => {
    queue.push(event);
    changed.notify();
  };
  if (!signal.aborted) state.listeners.add(listener);
  signal.addEventListener("abort", () => state.listeners.delete(listener), { once: true });
  return (async function* () {
    try {
      while (!signal.aborted) {
        const event = queue.shift();
        if (event === undefined) await changed.next(signal);
        else yield event;
      }
    } finally {
      state.listeners.delete(listener);
    }
  })();
}

function succeed(): { exitCode: number; output: string } {
  return { exitCode: 0, output: "" };
}

/** What fails when it is first read, as a stream does. */
function failingStream(error: Error): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}
