import { execFile } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEP_KINDS } from "../../usecases/apply-steps.ts";
import { apiClient } from "../support/api-client.ts";
import { findBoundaries, SECRETS, type Operations } from "../support/crash-scenarios.ts";
import { createTestInstance, labelledObjects, type TestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const run = promisify(execFile);
const NEVER = "0 0 1 1 *";

const cases = await findBoundaries();

test("the scenarios pass every kind of step", () => {
  const passed = new Set(cases.flatMap(({ boundaries }) => boundaries.map((name) => name.replace(/^.*:|#.*$/g, ""))));
  for (const kind of STEP_KINDS) expect(passed).toContain(kind);
});

describe("the API, killed at a step boundary, leaves every environment whole or gone after", () => {
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;
  let crashFile: string;

  beforeAll(async () => {
    // Whatever is found whole or gone was made so by the one reconcile at the start.
    instance = await createTestInstance({
      RECONCILE_SCHEDULE: NEVER,
      CLEANUP_SCHEDULE: NEVER,
      PRUNE_SCHEDULE: NEVER,
      CRASH_AT_FILE: "",
    });
    crashFile = join(instance.folder, "crash-at");
    api = apiClient(instance);
    await start();
  });

  afterAll(async () => {
    await instance.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  const start = () => instance.startApi({ CRASH_AT_FILE: crashFile });

  /** Runs an operation in which the platform dies at the boundary, and waits for its death. */
  async function dieIn(boundary: string, operation: () => Promise<unknown>): Promise<void> {
    writeFileSync(crashFile, boundary);
    const answer = await operation().catch(() => "none: the platform died");
    expect(answer).toBe("none: the platform died");
    await waitUntil(`the death at ${boundary}`, () => instance.endedBy() === "SIGKILL", 5_000, 10);
    expect(existsSync(crashFile)).toBe(false);
  }

  async function stopped<T>(operation: () => Promise<T>): Promise<void> {
    await instance.stopApi("SIGKILL");
    await operation();
  }

  const operations: Operations = {
    create: () => api.create({ name: "crash", secrets: SECRETS }),
    createDying: () => api.create({ name: "dying", command: ["/no/such/command"], secrets: SECRETS }),
    destroy: (id) => api.destroy(id),
    outage: (id, mode) => api.outage(id, mode),
    recover: (id) => api.outage(id, "recover"),
    extend: (id) => api.extend(id, 60),
    halt: () => api.call("POST", "/halt"),
    async loseNetwork(id) {
      const { network, container } = (await api.show(id)).body;
      for (const name of [container, `${instance.name}-nginx`])
        await run("docker", ["network", "disconnect", "-f", network, name]);
      await run("docker", ["network", "rm", network]);
    },
    dieCreating: () => dieIn("before:put-route", operations.create),
    dieDestroying: (id) => dieIn("before:remove-network", () => operations.destroy(id)),
    async dieAndLoseContainer(id) {
      const { container } = (await api.show(id)).body;
      await stopped(() => run("docker", ["rm", "-f", container]));
    },
    start,
  };

  async function living(): Promise<string> {
    const [existing] = (await api.list()).body;
    return existing?.id ?? (await api.create({ name: "living", secrets: SECRETS })).body.id;
  }

  for (const { scenario, boundaries } of cases) {
    test.each(boundaries)(`${scenario.name}: %s`, async (boundary) => {
      const id = scenario.living ? await living() : "";
      await scenario.prepare?.(operations, id);
      await dieIn(boundary, () => scenario.act(operations, id));
      await start();
      await expectWholeOrGone(instance);
      for (const folder of ["envs", "conf.d"])
        expect(readdirSync(join(instance.folder, folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    });
  }
});
