import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { findAheadBoundaries } from "../support/ahead-boundaries.ts";
import { apiClient, visit } from "../support/api-client.ts";
import { docker } from "../support/docker.ts";
import {
  createTestInstance,
  labelledObjects,
  leftovers,
  NOTHING_AHEAD,
  type TestInstance,
} from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const POOLS = { NETWORK_POOL_SIZE: "1", WARM_POOL_SIZE: "1" };
const boundaries = await findAheadBoundaries();

describe("what is made ahead", () => {
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
        return body.parts["ahead"]?.detail.startsWith("1 of 1 environments and 1 of 1 networks");
      },
      30_000,
    );
  }

  /** Environments that run without being anybody's. */
  async function spares(): Promise<string[]> {
    const filters = ["--filter", `label=sandbox.platform=${instance.name}`, "--filter", "label=sandbox.role=app"];
    const names = (await docker("ps", ...filters, "--format", '{{.Label "sandbox.env"}}')).split("\n").filter(Boolean);
    const known = new Set((await api.list()).body.map(({ id }) => id));
    return names.filter((id) => !known.has(id));
  }

  const statusOf = async (id: string) => (await visit(instance, `${id}.localhost`, "/health")).status;

  test("serves who asks for nothing in particular, and is known to nobody before", async () => {
    await instance.startApi(POOLS);
    await filled();
    const [spare = ""] = await spares();
    expect(spare).toMatch(/^env-/);
    expect((await api.list()).body).toEqual([]);
    expect((await api.show(spare)).status).toBe(404);
    expect((await visit(instance, `${spare}.localhost`)).text).toBe("No environment found\n");

    const { body, status } = await api.create({});
    expect([status, body.id, body.status]).toEqual([201, spare, "running"]);
    expect(await statusOf(spare)).toBe(200);
    await visit(instance, `${spare}.localhost`, "/noted");
    await waitUntil("its log", async () => (await api.logs(spare, "?grep=/noted")).body.lines.length === 1);

    const named = (await api.create({ name: "named" })).body;
    expect(named.network).toMatch(new RegExp(`^${instance.name}-net-`));
    expect(await statusOf(named.id)).toBe(200);

    await filled();
    for (const { id } of (await api.list()).body) expect((await api.destroy(id)).status).toBe(200);
    expect(await docker("network", "ls", "--filter", `name=${named.network}`, "--quiet")).toBe("");
    await instance.stopApi("SIGTERM");
    await instance.startApi(NOTHING_AHEAD);
    expect(await leftovers(instance)).toEqual([]);
  });

  test("whose container is killed is replaced, and nobody gets the dead one", async () => {
    await instance.startApi(POOLS);
    await filled();
    const [spare = ""] = await spares();
    await docker("kill", `${instance.name}-${spare}-app`);
    await waitUntil("another one", async () => {
      const [other] = await spares();
      return other !== undefined && other !== spare;
    });
    await filled();
    const { body } = await api.create({});
    expect([body.id === spare, body.status]).toEqual([false, "running"]);
  });

  test("whose network is removed fails nobody's create", async () => {
    await instance.startApi(POOLS);
    await filled();
    const network = await docker("network", "ls", "--filter", `name=${instance.name}-net-`, "--format", "{{.Name}}");
    await docker("network", "disconnect", "-f", network, `${instance.name}-nginx`);
    await docker("network", "rm", network);
    const { body, status } = await api.create({ name: "own" });
    expect([status, body.status]).toEqual([201, "running"]);
    expect(await statusOf(body.id)).toBe(200);
  });

  /** Dies at the boundary while `operation`, and what comes of it, goes on; then destroys what is whole. Returns what is left. */
  async function dieAt(boundary: string, operation: () => Promise<unknown>): Promise<string[]> {
    writeFileSync(join(instance.folder, "crash-at"), boundary);
    await operation().catch(() => {});
    await waitUntil(`the death at ${boundary}`, () => instance.endedBy() === "SIGKILL", 20_000, 10);
    await instance.startApi(NOTHING_AHEAD);
    await waitUntil(
      "what is nobody's to be gone",
      async () => (await expectWholeOrGone(instance)) !== null,
      40_000,
      500,
    );
    await Promise.all((await api.list()).body.map(({ id }) => api.destroy(id)));
    return leftovers(instance);
  }

  const crashing = () => ({ FAILPOINT_FILE: join(instance.folder, "crash-at") });

  test.each(boundaries.claiming)(
    "leaves nothing that is nobody's when the platform dies giving it away: %s",
    async (at) => {
      await instance.startApi({ ...POOLS, ...crashing() });
      await filled();
      expect(await dieAt(at, () => api.create({}))).toEqual([]);
    },
  );

  test.each(boundaries.making)("leaves nothing that is nobody's when the platform dies making it: %s", async (at) => {
    writeFileSync(join(instance.folder, "crash-at"), at);
    expect(await dieAt(at, () => instance.startApi({ ...POOLS, ...crashing() }))).toEqual([]);
  });
});
