import { randomInt } from "node:crypto";
import type { EnvironmentView } from "../platform/domain/environment/view.ts";
import { apiClient, type Answer } from "../platform/test/support/api-client.ts";
import { createTestInstance, labelledObjects, type TestInstance } from "../platform/test/support/test-instance.ts";
import { waitUntil } from "../platform/test/support/wait-until.ts";
import { createBareEngine, type BareEngine } from "./bare-engine.ts";
import { awaitFirst200 } from "./first-answer.ts";
import { areFull, readPools } from "./pools.ts";
import { watchQuiet } from "./quiet.ts";

const IMAGE = "sandbox-demo-app:latest";
const QUIET_MS = 300;
const QUIET_LIMIT_MS = 15_000;
const REMOVE_ATTEMPTS = 4;

/** No limit that a row could reach, and lifetimes longer than any run; all else is as by default. */
const SETTINGS = {
  MAX_ENVS: "0",
  MAX_ENVS_PER_OWNER: "0",
  MAX_MEMORY_MB: "0",
  MAX_CPUS: "0",
  MAX_PIDS: "0",
  RATE_LIMIT: "0",
  // As by default; the tests' own instances have no pools.
  NETWORK_POOL_SIZE: "4",
  CHANGES_LIMIT: "0",
  DEFAULT_TTL: "86400",
  LOG_LEVEL: "warn",
};

export type BenchOptions = {
  /** Samples of the rows that repeat one operation. */
  samples: number;
  /** Minutes that the log row runs. */
  minutes: number;
  /** Environments of the rows that want many. */
  many: number;
  signal: AbortSignal;
  progress: (text: string) => void;
};

/** What a row works with: a platform of its own, the bare engine beside it, and the options of the run. */
export type Workbench = BenchOptions & {
  instance: TestInstance;
  bare: BareEngine;
  /** Restarts the API with these settings, unless it runs with them already. Rows that share environments ask for the same. */
  withSettings(settings: Record<string, string>): Promise<void>;
  /** `POST /envs`, then requests to its URL until one is answered with 200. Rejects unless the POST answers 201. */
  create(body: Record<string, unknown>): Promise<EnvironmentView>;
  /** `DELETE /envs/:id`; rejects unless it answers 200. */
  destroy(id: string): Promise<void>;
  list(): Promise<EnvironmentView[]>;
  /** Requests a path of an environment through the front door until one request is answered with 200. */
  visit(id: string, path?: string): Promise<void>;
  /** Resolves once neither the platform nor the bare engine has work under way and the pools are full. */
  quiet(): Promise<void>;
  remove(): Promise<void>;
};

/** Prepares an instance of its own, with Nginx up and no API yet. */
export async function createWorkbench(options: BenchOptions): Promise<Workbench> {
  const { signal } = options;
  // Room for some hundred environments, at random, so that two runs rarely meet.
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

  async function areRefilled(): Promise<boolean> {
    // A platform that is not healthy answers 503, with the same body.
    const pools = readPools((await api.call("GET", "/healthz")).body);
    return signal.aborted || pools === null || areFull(pools);
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
    async quiet() {
      await watch.quietFor(QUIET_MS, QUIET_LIMIT_MS);
      // While it refills its pools a platform may rest for longer than that.
      if (running !== null) await waitUntil("the pools to be full", areRefilled, QUIET_LIMIT_MS, 50).catch(() => {});
      await watch.quietFor(QUIET_MS, QUIET_LIMIT_MS);
      signal.throwIfAborted();
    },
    async remove() {
      watch.stop();
      // More than once: work that was under way when the run was interrupted may have created more meanwhile, and
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

/** Does some work, and returns its result with the milliseconds that it took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}
