import { randomInt } from "node:crypto";
import type { EnvironmentView } from "../platform/domain/environment/view.ts";
import { apiClient, type Answer } from "../platform/test/support/api-client.ts";
import { createTestInstance, labelledObjects, type TestInstance } from "../platform/test/support/test-instance.ts";
import { waitUntil } from "../platform/test/support/wait-until.ts";
import { createBareEngine, type BareEngine } from "./bare-engine.ts";
import { awaitFirst200 } from "./first-answer.ts";
import { isFull, readMadeAhead, type MadeAhead } from "./made-ahead.ts";
import { watchQuiet } from "./quiet.ts";

const IMAGE = "sandbox-demo-app:latest";
const QUIET_MS = 300;
const QUIET_LIMIT_MS = 15_000;
const REMOVE_ATTEMPTS = 4;

/** No limit that a row could run into, and lives longer than any run; all else is as by default. */
const SETTINGS = {
  MAX_ENVS: "0",
  MAX_ENVS_PER_OWNER: "0",
  MAX_MEMORY_MB: "0",
  MAX_CPUS: "0",
  MAX_PIDS: "0",
  RATE_LIMIT: "0",
  // As by default; the tests' own instances have nothing made ahead.
  NETWORK_POOL_SIZE: "4",
  CHANGES_LIMIT: "0",
  DEFAULT_TTL: "86400",
  LOG_LEVEL: "warn",
};

export type BenchOptions = {
  /** Of rows that measure one operation over and over. */
  samples: number;
  /** How long the log row runs. */
  minutes: number;
  /** Environments of the rows that want many. */
  many: number;
  signal: AbortSignal;
  progress: (text: string) => void;
};

/** What a row works with: a platform of its own, the bare engine beside it, and the way the run is to go. */
export type Workbench = BenchOptions & {
  instance: TestInstance;
  bare: BareEngine;
  /**
   * The API runs with these settings afterwards, and was started anew unless it did already. Rows that share
   * environments ask for the same.
   */
  withSettings(settings: Record<string, string>): Promise<void>;
  /** `POST /envs`, then its URL until that gives a 200. Rejects for anything but a 201. */
  create(body: Record<string, unknown>): Promise<EnvironmentView>;
  /** `DELETE /envs/:id`; rejects for anything but a 200. */
  destroy(id: string): Promise<void>;
  list(): Promise<EnvironmentView[]>;
  /** Asks an environment through the front door until there is a 200. */
  visit(id: string, path?: string): Promise<void>;
  /** Null where the platform makes nothing ahead. */
  madeAhead(): Promise<MadeAhead | null>;
  /** Until neither the platform nor the bare engine has anything under way. */
  quiet(): Promise<void>;
  remove(): Promise<void>;
};

/** Prepares an instance of its own, with Nginx up and no API yet. */
export async function createWorkbench(options: BenchOptions): Promise<Workbench> {
  const { signal } = options;
  // Nobody else's ranges, and room for some hundred environments; at random, so that two runs rarely meet.
  const range = (first: number): string => `10.${first + randomInt(4)}.${randomInt(8) * 32}.0/19`;
  const instance = await createTestInstance({ ...SETTINGS, SUBNET_POOL: range(176) }, "container");
  const bare = createBareEngine({ instance: `${instance.name}-bare`, image: IMAGE, pool: range(180), signal });
  const watch = await watchQuiet(instance.name);
  const api = apiClient(instance);
  let running: string | null = null;

  function expectStatus<T>(answer: Answer<T>, status: number, what: string): T {
    if (answer.status !== status) throw new Error(`${what} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async function isRefilled(): Promise<boolean> {
    const made = await workbench.madeAhead();
    return signal.aborted || made === null || isFull(made);
  }

  const workbench: Workbench = {
    ...options,
    instance,
    bare,
    async withSettings(settings) {
      const wanted = JSON.stringify(settings);
      if (wanted === running) return;
      running = null;
      await instance.stopApi();
      await instance.startApi(settings);
      running = wanted;
      await workbench.quiet();
    },
    async create(body) {
      signal.throwIfAborted();
      const environment = expectStatus(await api.create(body), 201, "POST /envs");
      await workbench.visit(environment.id);
      return environment;
    },
    async destroy(id) {
      signal.throwIfAborted();
      expectStatus(await api.destroy(id), 200, `DELETE /envs/${id}`);
    },
    list: async () => expectStatus(await api.list(), 200, "GET /envs"),
    visit: (id, path = "/") => awaitFirst200(frontDoor(instance, id, path), signal),
    async madeAhead() {
      // A platform that is not well says so with a 503, and has a body too.
      return readMadeAhead((await api.call("GET", "/healthz")).body);
    },
    async quiet() {
      await watch.quietFor(QUIET_MS, QUIET_LIMIT_MS);
      // Between two things that it makes ahead a platform may rest for longer than that.
      if (running !== null) await waitUntil("what is made ahead", isRefilled, QUIET_LIMIT_MS, 50).catch(() => {});
      await watch.quietFor(QUIET_MS, QUIET_LIMIT_MS);
      signal.throwIfAborted();
    },
    async remove() {
      watch.stop();
      // More than once: what was under way when the run was broken off may have made more meanwhile, and
      // another Ctrl-C ends the commands that remove.
      for (let attempt = 1; ; attempt++) {
        try {
          await bare.remove();
          await instance.remove();
          const left = await labelledObjects(instance.name);
          if (left.length === 0) return;
          throw new Error(`there still are ${left.join(", ")}`);
        } catch (error) {
          if (attempt === REMOVE_ATTEMPTS) throw error;
        }
      }
    },
  };
  return workbench;
}

/** An environment's URL as a request to this machine. */
export function frontDoor({ nginxPort }: Pick<TestInstance, "nginxPort">, id: string, path: string) {
  return { address: "127.0.0.1", port: nginxPort, host: `${id}.localhost`, path };
}

/** How long some work takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
