import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { apiClient } from "./api-client.ts";
import { BRIEF_S, SECRETS, type Operations, type Scenario } from "./crash-scenarios.ts";
import { docker } from "./docker.ts";
import { expectStatus } from "./expect-status.ts";
import { createTestInstance, labelledObjects } from "./test-instance.ts";
import { waitUntil } from "./wait-until.ts";
import { expectWholeOrGone } from "./whole-or-gone.ts";

const NEVER = "0 0 1 1 *";

/** A platform that is killed and started again and again. */
export type CrashLane = {
  /** Kills it at a failpoint of a scenario, starts it, and asserts that every environment is whole or gone. */
  run(scenario: Scenario, failpoint: string): Promise<void>;
  /** Removes the platform, and asserts that nothing is left. */
  remove(): Promise<void>;
};

export async function createCrashLane(): Promise<CrashLane> {
  // Only the reconcile at the start may repair or remove anything.
  const instance = await createTestInstance({
    RECONCILE_SCHEDULE: NEVER,
    CLEANUP_SCHEDULE: NEVER,
    PRUNE_SCHEDULE: NEVER,
    FAILPOINT_FILE: "",
  });
  const crashFile = join(instance.folder, "crash-at");
  const api = apiClient(instance);
  const start = () => instance.startApi({ FAILPOINT_FILE: crashFile });

  /** Runs an operation in which the platform dies at the failpoint, and waits for its death. */
  async function dieIn(failpoint: string, operation: () => Promise<unknown>): Promise<void> {
    writeFileSync(crashFile, failpoint);
    const answer = await operation().catch(() => "none: the platform died");
    expect(answer).toBe("none: the platform died");
    await waitUntil(`the death at ${failpoint}`, () => instance.endedBy() === "SIGKILL", 5_000, 10);
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
        await docker("network", "disconnect", "-f", network, name);
      await docker("network", "rm", network);
    },
    dieCreating: () => dieIn("before:upsert-route", operations.create),
    dieDestroying: (id) => dieIn("before:kill-container", () => operations.destroy(id)),
    async dieAndLoseContainer(id) {
      const { container } = (await api.show(id)).body;
      await stopped(() => docker("rm", "-f", container));
    },
    dieAndExpire: (id) =>
      stopped(async () => {
        const file = join(instance.folder, "envs", `${id}.json`);
        const record = JSON.parse(readFileSync(file, "utf8")) as object;
        writeFileSync(file, JSON.stringify({ ...record, expires_at: new Date(Date.now() - 1_000).toISOString() }));
      }),
    briefOutage: (id, mode) => api.outage(id, mode, { duration: BRIEF_S }),
    async outageEnds(id) {
      const isOver = async () => instance.endedBy() !== null || (await api.show(id)).body.outage === null;
      await waitUntil("the end of the outage, or of the platform", isOver, 30_000, 20);
      if (instance.endedBy() !== null) throw new Error("the platform died");
    },
    start,
  };

  async function living(): Promise<string> {
    const [existing] = (await api.list()).body;
    if (existing !== undefined) return existing.id;
    return expectStatus(await api.create({ name: "living", secrets: SECRETS }), 201).body.id;
  }

  return {
    async run(scenario, failpoint) {
      if (instance.pid() === null || instance.endedBy() !== null) await start();
      const id = scenario.living ? await living() : "";
      await scenario.prepare?.(operations, id);
      await dieIn(failpoint, () => scenario.act(operations, id));
      await start();
      await expectWholeOrGone(instance);
      for (const folder of ["envs", "conf.d"])
        expect(readdirSync(join(instance.folder, folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    },
    async remove() {
      await instance.remove();
      expect(await labelledObjects(instance.name)).toEqual([]);
    },
  };
}
