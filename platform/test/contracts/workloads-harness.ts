import { afterAll, afterEach, beforeAll } from "vitest";
import type { ObservedService, Placement } from "../../domain/plan/observed.ts";
import type { LogLine, NetworkPool, ServiceRef, ServiceSpec, Workloads } from "../../workloads/workloads.ts";

/** An adapter under test, with its pool of networks that are kept ready. */
export type TestedWorkloads = Workloads & { networkPool: NetworkPool & { whenIdle(): Promise<void> } };

/** Makes adapters, and does to their engine what a test must be able to do from outside. */
export type WorkloadsSubject = {
  /** Makes what an adapter finds on its machine, such as the edge proxy. */
  begin(): Promise<void>;
  /** A new adapter on the same machine, as a platform that starts has one; it keeps `poolSize` networks ready. */
  createAdapter(options?: { poolSize: number }): TestedWorkloads;
  /** An image whose service, with `command`, answers on `port` and runs until `exit` is called. */
  image: string;
  command: string[] | null;
  port: number;
  /** A well-formed reference that cannot be pulled. */
  missingImage: string;
  /** An image that holds `folder`. */
  tools: { reference: string; folder: string };
  /** Commands for exec: printing a text on both streams, and ending with a code. */
  commands: { print(out: string, err: string): string[]; fail(code: number): string[] };
  answers(placement: Placement): Promise<boolean>;
  /** A running container writes lines, ends with a code, has a file, is removed by another owner. */
  print(container: string, stream: LogLine["stream"], text: string): Promise<void>;
  exit(container: string, code: number): Promise<void>;
  hasFile(container: string, path: string): Promise<boolean>;
  removeBehindOurBack(container: string): Promise<void>;
  /** Another owner's container gets this name. */
  addForeign(container: string): Promise<void>;
  /** What a platform that is killed while it copies leaves behind. Returns its name as `tidy` tells it. */
  leaveHelper(): Promise<string>;
  /** Removes everything; throws where something is left. */
  end(): Promise<void>;
};

type ReservationWish = Parameters<Workloads["reserve"]>[0];

/** Short words for what the contract's tests do with the current adapter. */
export type WorkloadsHarness = {
  newEnv(): string;
  /** What `reserve` takes. */
  wish(more?: Partial<ReservationWish>): ReservationWish;
  containerOf(ref: ServiceRef): string;
  specOf(env?: string, more?: Partial<ServiceSpec>): ServiceSpec;
  /** A service in a network that was made beside it; it was not started. */
  placed(spec?: ServiceSpec): Promise<Placement>;
  running(): Promise<{ ref: ServiceRef; placement: Placement }>;
  /** The service as `adapter` observes it. */
  serviceOf(ref: ServiceRef, adapter?: Workloads): Promise<ObservedService | undefined>;
  /** Follows its log into `lines`. */
  follow(ref: ServiceRef, lines: string[]): Promise<void>;
};

/** Call it within a `describe`: it removes what each test made, and proves at the end that nothing is left. */
export function createWorkloadsHarness(subject: WorkloadsSubject, current: () => TestedWorkloads): WorkloadsHarness {
  let environments = 0;

  beforeAll(() => subject.begin());
  afterEach(async () => {
    const fresh = subject.createAdapter();
    for (const env of (await fresh.observe()).keys()) await fresh.remove(env, { requestsInFlight: false });
    await fresh.tidy();
  });
  afterAll(() => subject.end());

  const harness: WorkloadsHarness = {
    newEnv: () => `env-t-${++environments}`,
    wish: (more = {}) => ({ env: harness.newEnv(), services: ["app"], egress: true, fromPool: true, ...more }),
    containerOf: ({ env, service }) =>
      current().reserve(harness.wish({ env, services: [service] })).containers[service] ?? "",
    specOf(env = harness.newEnv(), more = {}) {
      const { image, command, port } = subject;
      const resources = { memory_mb: 192, cpus: 0.5, pids: 64 };
      return {
        env,
        service: "app",
        image,
        variables: { ENV_ID: env },
        command,
        port,
        resources,
        egress: true,
        ...more,
      };
    },
    async placed(spec = harness.specOf()) {
      const [placement] = await Promise.all([current().place(spec), current().prepare(spec)]);
      return placement;
    },
    async running() {
      const spec = harness.specOf();
      const placement = await harness.placed(spec);
      const ref = { env: spec.env, service: spec.service };
      await current().start(ref);
      return { ref, placement };
    },
    async serviceOf({ env, service }, adapter = current()) {
      return (await adapter.observe()).get(env)?.services[service];
    },
    async follow(ref, lines) {
      const options = { follow: true, signal: new AbortController().signal };
      for await (const batch of current().logs(ref, options)) lines.push(...batch.map(({ text }) => text));
    },
  };
  return harness;
}
