import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { apiClient, visit } from "../support/api-client.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { findPoolFailpoints } from "../support/pool-failpoints.ts";
import {
  createTestInstance,
  labelledObjects,
  leftovers,
  NO_POOLS,
  type TestInstance,
} from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const POOLS = { NETWORK_POOL_SIZE: "1", WARM_POOL_SIZE: "1" };
const failpoints = await findPoolFailpoints();

describe("the pools", () => {
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;

  beforeAll(async () => {
    // What the engine still finishes for a dead platform is found by the next reconcile.
    instance = await createTestInstance({ RECONCILE_SCHEDULE: "*/5 * * * * *" });
    api = apiClient(instance);
  });

  afterEach(() => instance.stopApi("SIGKILL"));

  afterAll(async () => {
    await instance.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  async function filled(): Promise<void> {
    await waitUntil(
      "the pools to be full",
      async () => {
        const { body } = await api.call<{ parts: Record<string, { detail: string }> }>("GET", "/healthz");
        return body.parts["warm_pool"]?.detail.startsWith("1 of 1 environments and 1 of 1 networks");
      },
      30_000,
    );
  }

  /** Environments that run without a record. */
  async function warm(): Promise<string[]> {
    const filters = ["--filter", `label=sandbox.platform=${instance.name}`, "--filter", "label=sandbox.role=app"];
    const names = (await docker("ps", ...filters, "--format", '{{.Label "sandbox.env"}}')).split("\n").filter(Boolean);
    const known = new Set((await api.list()).body.map(({ id }) => id));
    return names.filter((id) => !known.has(id));
  }

  const visitHealth = (id: string) => visit(instance, `${id}.localhost`, "/health");

  test("give a warm environment to a plain request, and show it to no caller before", async () => {
    await instance.startApi(POOLS);
    await filled();
    const [id = ""] = await warm();
    expect(id).toMatch(/^env-/);
    expect((await api.list()).body).toEqual([]);
    expectStatus(await api.show(id), 404);
    expect((await visit(instance, `${id}.localhost`)).text).toBe("No environment found\n");

    expectStatus(await api.create({}), 201, { id, status: "running" });
    expectStatus(await visitHealth(id), 200);
    await visit(instance, `${id}.localhost`, "/noted");
    await waitUntil("its log", async () => (await api.logs(id, "?grep=/noted")).body.lines.length === 1);

    const named = expectStatus(await api.create({ name: "named" }), 201).body;
    expect(named.network).toMatch(new RegExp(`^${instance.name}-net-`));
    expectStatus(await visitHealth(named.id), 200);

    await filled();
    for (const one of (await api.list()).body) expectStatus(await api.destroy(one.id), 200);
    expect(await docker("network", "ls", "--filter", `name=${named.network}`, "--quiet")).toBe("");
    await instance.stopApi("SIGTERM");
    await instance.startApi(NO_POOLS);
    expect(await leftovers(instance)).toEqual([]);
  });

  test("replace a warm environment whose container is killed, and give it to no caller", async () => {
    await instance.startApi(POOLS);
    await filled();
    const [id = ""] = await warm();
    await docker("kill", `${instance.name}-${id}-app`);
    await waitUntil("another one", async () => {
      const [other] = await warm();
      return other !== undefined && other !== id;
    });
    await filled();
    const { body } = expectStatus(await api.create({}), 201, { status: "running" });
    expect(body.id).not.toBe(id);
  });

  test("do not fail a create when a network of the pool was removed", async () => {
    await instance.startApi(POOLS);
    await filled();
    const network = await docker("network", "ls", "--filter", `name=${instance.name}-net-`, "--format", "{{.Name}}");
    await docker("network", "disconnect", "-f", network, `${instance.name}-nginx`);
    await docker("network", "rm", network);
    const { body } = expectStatus(await api.create({ name: "own" }), 201, { status: "running" });
    expectStatus(await visitHealth(body.id), 200);
  });

  /** Kills the platform at a failpoint of `operation`, starts it again and destroys what is intact. Returns what is left. */
  async function dieAt(failpoint: string, operation: () => Promise<unknown>): Promise<string[]> {
    writeFileSync(join(instance.folder, "crash-at"), failpoint);
    await operation().catch(() => {});
    await waitUntil(`the death at ${failpoint}`, () => instance.endedBy() === "SIGKILL", 20_000, 10);
    await instance.startApi(NO_POOLS);
    await waitUntil(
      "objects without a record to be gone",
      async () => (await expectWholeOrGone(instance)) !== null,
      40_000,
      500,
    );
    await Promise.all((await api.list()).body.map(({ id }) => api.destroy(id)));
    return leftovers(instance);
  }

  const crashing = () => ({ FAILPOINT_FILE: join(instance.folder, "crash-at") });

  test.each(failpoints.acquiring)(
    "leave no object without a record when the platform dies giving an environment away: %s",
    async (at) => {
      await instance.startApi({ ...POOLS, ...crashing() });
      await filled();
      expect(await dieAt(at, () => api.create({}))).toEqual([]);
    },
  );

  test.each(failpoints.filling)(
    "leave no object without a record when the platform dies filling them: %s",
    async (at) => {
      writeFileSync(join(instance.folder, "crash-at"), at);
      expect(await dieAt(at, () => instance.startApi({ ...POOLS, ...crashing() }))).toEqual([]);
    },
  );
});
