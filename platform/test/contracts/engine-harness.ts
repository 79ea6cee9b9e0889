import { afterAll, afterEach } from "vitest";
import { environmentLabels } from "../../domain/environment/labels.ts";
import type { LogLine } from "../../workloads/workloads.ts";
import type { ContainerSpec, Engine, EngineEvent, NetworkSpec } from "../../workloads/docker/engine.ts";
import { waitUntil } from "../support/wait-until.ts";

/** An engine, and what a test must be able to do to it from outside. */
export type EngineSubject = {
  engine: Engine;
  instance: string;
  /** An image whose container, with `idle` as its command, runs until `exit` is called. */
  image: string;
  idle: string[] | null;
  /** An image that exposes exactly these TCP ports. */
  exposing: { reference: string; ports: number[] };
  /** An image that holds `folder`. */
  tools: { reference: string; folder: string };
  /** A well-formed reference that nobody can pull. */
  missingImage: string;
  /** Gives `image` another name until the test's end. */
  nameImage(reference: string): Promise<void>;
  /** Commands for exec: printing a text on both streams, ending with a code, and never ending. */
  commands: { print(out: string, err: string): string[]; fail(code: number): string[]; hang: string[] };
  freeSubnet(): Promise<{ subnet: string; gateway: string; addresses: string[] }>;
  /** A running container writes lines. */
  print(container: string, stream: LogLine["stream"], text: string): Promise<void>;
  /** A running container ends with a code. */
  exit(container: string, code: number): Promise<void>;
  hasFile(container: string, path: string): Promise<boolean>;
  /** A container, running, and a network of somebody else; the container has the given name, if one is given. */
  addForeign(container?: string): Promise<{ container: string; network: string }>;
  /** Somebody else removes a container. */
  removeBehindOurBack(container: string): Promise<void>;
  /** Removes everything the test made. */
  clean(): Promise<void>;
  /** Names of everything that is on the machine in the test's name. */
  leftovers(): Promise<string[]>;
};

/** What one environment of a test is made of. */
export type TestEnvironment = { id: string; network: NetworkSpec; spec: ContainerSpec; addresses: string[] };

/** Output being followed: what came so far, and when following ends. */
export type Following = { lines: string[]; done: Promise<void> };

/** A subject, and short words for what the contract's tests do with it. */
export type EngineHarness = {
  subject: EngineSubject;
  engine: Engine;
  /** A plan for an environment; nothing of it exists yet. */
  plan(): Promise<TestEnvironment>;
  /** Its network, and its container, which was not started. */
  createdEnvironment(): Promise<TestEnvironment>;
  runningEnvironment(): Promise<TestEnvironment>;
  /** Kills it, and waits until the engine has cleaned up, as an inspection does. */
  kill(container: string): Promise<void>;
  stateOf(container: string): Promise<string | null>;
  read(container: string, options?: { since?: string; tail?: number }): Promise<LogLine[]>;
  /** Reads until there are so many lines: what a container wrote is not there at once. */
  readUntil(container: string, count: number): Promise<LogLine[]>;
  /** Follows in the background. */
  follow(container: string, signal: AbortSignal): Following;
  /** Collects the engine's events from now until the test's end. */
  listen(): EngineEvent[];
  /** Aborted at the test's end at the latest. */
  abortedAfterTest(): AbortController;
};

/** Call it within a `describe`: it cleans up after each test, and proves at the end that nothing is left. */
export function createEngineHarness(subject: EngineSubject): EngineHarness {
  const { engine, instance } = subject;
  const stopping: AbortController[] = [];
  let environments = 0;

  afterEach(async () => {
    for (const controller of stopping.splice(0)) controller.abort();
    await subject.clean();
  });
  afterAll(async () => {
    const left = await subject.leftovers();
    if (left.length > 0) throw new Error(`The contract's tests left ${left.join(", ")}`);
  });

  const harness: EngineHarness = {
    subject,
    engine,
    async plan() {
      const id = `env-t-${++environments}`;
      const { subnet, gateway, addresses } = await subject.freeSubnet();
      const network = `${instance}-${id}`;
      const spec: ContainerSpec = {
        name: `${network}-app`,
        image: subject.image,
        labels: environmentLabels(instance, id, "app", "app"),
        env: { ENV_ID: id },
        command: subject.idle,
        network,
        address: addresses[1] ?? "",
        aliases: ["app"],
        resources: { memory_mb: 64, cpus: 0.5, pids: 64 },
      };
      const labels = environmentLabels(instance, id, "network");
      return { id, addresses, network: { name: network, subnet, gateway, labels, internal: false }, spec };
    },
    async createdEnvironment() {
      const environment = await harness.plan();
      await engine.networks.create(environment.network);
      await engine.containers.create(environment.spec);
      return environment;
    },
    async runningEnvironment() {
      const environment = await harness.createdEnvironment();
      await engine.containers.start(environment.spec.name);
      return environment;
    },
    async kill(container) {
      await engine.containers.kill(container, "SIGKILL");
      await engine.containers.inspect(container);
    },
    async stateOf(container) {
      return (await engine.containers.inspect(container))?.state ?? null;
    },
    async read(container, options = {}) {
      const lines: LogLine[] = [];
      const all = { ...options, follow: false, signal: harness.abortedAfterTest().signal };
      for await (const batch of engine.containers.logs(container, all)) lines.push(...batch);
      return lines;
    },
    async readUntil(container, count) {
      let lines: LogLine[] = [];
      await waitUntil(`${count} lines`, async () => {
        lines = await harness.read(container);
        return lines.length === count;
      });
      return lines;
    },
    follow(container, signal) {
      const lines: string[] = [];
      async function run(): Promise<void> {
        for await (const batch of engine.containers.logs(container, { follow: true, signal })) {
          lines.push(...batch.map(({ text }) => text));
        }
      }
      return { lines, done: run() };
    },
    listen() {
      const events: EngineEvent[] = [];
      const stream = engine.events(harness.abortedAfterTest().signal);
      async function run(): Promise<void> {
        for await (const event of stream) events.push(event);
      }
      void run();
      return events;
    },
    abortedAfterTest() {
      const controller = new AbortController();
      stopping.push(controller);
      return controller;
    },
  };
  return harness;
}
