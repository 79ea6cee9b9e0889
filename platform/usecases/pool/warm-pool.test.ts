import { describe, expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import {
  createFakeApp,
  DEMO_IMAGE,
  INSTANCE,
  useFakeContext,
  type FakeContext,
} from "../../test/support/fake-context.ts";
import { fillPools, type PoolSizes } from "../../test/support/fill-pools.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { nothingUnderWay } from "../context.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { destroyEnvironment } from "../environments/destroy-environment.ts";
import { injectOutage } from "../chaos/inject-outage.ts";
import { fillLater } from "./warm-pool.ts";
import { platformHealth } from "../health/platform-health.ts";
import { handleEngineEvents } from "../reconcile/handle-engine-events.ts";
import { reconcile } from "../reconcile/reconcile.ts";
import request from "supertest";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const PREPARED = `${INSTANCE}-net-10-172-0-0-28`;
const pass = (startup = false) => reconcile(context, { startup });
const ready = () => context.ahead.spares.filter(({ state }) => state === "ready").map(({ record }) => record);
const networks = async () => (await context.engine.observe()).networks.map(({ name }) => name);
const containers = async () => (await context.engine.observe()).containers.map(({ name }) => name);
const routeOf = ({ id }: EnvironmentRecord) => context.router.routeOf(`${id}.localhost`);

const fill = (sizes: PoolSizes): Promise<void> => fillPools(context, sizes);

async function theSpare(): Promise<EnvironmentRecord> {
  await fill({ spares: 1 });
  const [spare] = ready();
  if (spare === undefined) throw new Error("no spare");
  return spare;
}

describe("an environment made ahead", () => {
  test("runs, routed and closed, and is neither listed, nor counted, nor saved, nor logged", async () => {
    context.settings.quota.environments = 1;
    const spare = await theSpare();
    expect(await containers()).toContain(`${INSTANCE}-${spare.id}-app`);
    expect(await context.router.list()).toMatchObject([{ id: spare.id, enabled: false }]);
    expect(routeOf(spare)).toBeNull();
    expect(context.environments.all()).toEqual([]);
    expect(await context.logs.list()).toEqual([]);
    expect((await request(createFakeApp(context)).get(`/envs/${spare.id}`)).status).toBe(404);
    expect((await createEnvironment(context, { name: "other" })).name).toBe("other");
  });

  test("is given to whoever asks for nothing in particular: its lifetime begins then, and nothing is made", async () => {
    const spare = await theSpare();
    context.clock.advance(3_600_000);
    const made = context.engine.calls.length;
    const claimed = await createEnvironment(context, { ttl: 600 }, null, "ann");
    expect(claimed).toMatchObject({ id: spare.id, status: "running", ttl: 600, owner: "ann" });
    expect(Date.parse(claimed.created_at)).toBe(context.clock.now());
    expect(context.environments.get(claimed.id)).toEqual(claimed);
    expect(routeOf(claimed)).not.toBeNull();
    expect(context.shippers.active(claimed.id)).toEqual(["app"]);
    const methods = context.engine.calls.slice(made).map(({ method }) => method);
    expect(methods.filter((method) => /create|start|connect/.test(method))).toEqual([]);
  });

  test("is made anew once it was given away", async () => {
    const spare = await theSpare();
    await createEnvironment(context, {});
    await waitUntil("another one", () => ready().length === 1 && ready()[0]?.id !== spare.id);
  });

  test.each([{ name: "mine" }, { env: { A: "1" } }, { egress: false }, { port: 3000 }, { command: ["x"] }])(
    "is not given to whoever asks for %j",
    async (wish) => {
      const spare = await theSpare();
      expect((await createEnvironment(context, wish)).id).not.toBe(spare.id);
      expect(ready()).toEqual([spare]);
    },
  );

  test("is made of further images where the settings name them", async () => {
    context.engine.addImage("other:1", [8000]);
    await fill({ spares: 1, images: ["other:1"] });
    const ids = ready().map(({ id }) => id);
    const { id, services } = await createEnvironment(context, { image: "other:1" });
    expect(ids).toContain(id);
    expect(services[0]).toMatchObject({ image: "other:1", port: 8000 });
  });

  test("that cannot be made does not keep others from being made, and healthz says why", async () => {
    context.settings.warmImages = ["missing:1"];
    context.settings.warmPoolSize = 1;
    fillLater(context);
    await waitUntil("the one that can", () => ready().length === 1);
    await context.ahead.filling;
    const { parts } = await platformHealth(context, { ok: true, detail: "" });
    expect(parts.ahead.ok).toBe(true);
    expect(parts.ahead.detail).toMatch(/^1 of 2 environments and 0 of 0 networks are ready; .*missing:1/);
  });

  test("that does not answer any more is thrown away, and whoever asked gets another", async () => {
    const spare = await theSpare();
    context.probe.set(`${spare.id}.localhost`, { status: 500 });
    const { id } = await createEnvironment(context, {});
    expect(id).not.toBe(spare.id);
    await waitUntil("it to be gone", async () => !(await containers()).includes(`${INSTANCE}-${spare.id}-app`));
  });

  test("whose image has changed is not given away, and is replaced at the next reconcile", async () => {
    const spare = await theSpare();
    context.engine.addImage(DEMO_IMAGE, [3000]);
    expect((await createEnvironment(context, {})).id).not.toBe(spare.id);
    await pass();
    expect(ready()).not.toContain(spare);
    await waitUntil("a new one", () => ready().length === 1);
    expect(await containers()).not.toContain(`${INSTANCE}-${spare.id}-app`);
  });

  test("that dies is replaced at once", async () => {
    void handleEngineEvents(context, context.stopping);
    const spare = await theSpare();
    context.engine.exit(`${INSTANCE}-${spare.id}-app`, 1);
    await waitUntil("another one", () => ready().length === 1 && ready()[0]?.id !== spare.id);
    expect(await containers()).not.toContain(`${INSTANCE}-${spare.id}-app`);
  });

  test("is left alone by the reconciler while it is whole", async () => {
    const spare = await theSpare();
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
    expect(ready()).toEqual([spare]);
  });

  test("whose container somebody removed is replaced at the next reconcile", async () => {
    const spare = await theSpare();
    context.engine.removeBehindOurBack(`${INSTANCE}-${spare.id}-app`);
    await pass();
    await waitUntil("another one", () => ready().length === 1 && ready()[0]?.id !== spare.id);
  });

  test("is removed at the start after a platform was killed, with all that was made ahead", async () => {
    await fill({ spares: 1, networks: 1 });
    Object.assign(context, { ahead: nothingUnderWay().ahead });
    context.settings.networkPoolSize = context.settings.warmPoolSize = 0;
    await pass(true);
    expect(await containers()).toEqual([`${INSTANCE}-nginx`]);
    expect(await networks()).toEqual([INSTANCE]);
    expect(await context.router.list()).toEqual([]);
  });

  test("that the disk refuses to give away is taken down, and the refusal told", async () => {
    const spare = await theSpare();
    context.settings.warmPoolSize = 0;
    const used = context.subnets.usage().used;
    context.environments.failNextWrites(1);
    await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "storage_failed" });
    expect(await containers()).not.toContain(`${INSTANCE}-${spare.id}-app`);
    expect(context.subnets.usage().used).toBe(used - 1);
    expect(context.ahead.spares).toEqual([]);
  });

  test("counts against the quota from when it is somebody's", async () => {
    context.settings.quota.environments = 1;
    await theSpare();
    await createEnvironment(context, {});
    await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "capacity_exhausted" });
  });

  test("is given to one of two who ask at once", async () => {
    await theSpare();
    const [one, other] = await Promise.all([createEnvironment(context, {}), createEnvironment(context, {})]);
    expect(one.id).not.toBe(other.id);
  });

  test("is not made while the disk has too little room for anybody's, and healthz says why", async () => {
    context.disk.now = { state: 2 ** 40, logs: 0 };
    context.settings.warmPoolSize = 1;
    fillLater(context);
    await context.ahead.filling;
    expect(context.ahead.spares).toEqual([]);
    const health = await platformHealth(context, { ok: true, detail: "" });
    expect(health.parts.ahead.detail).toContain("MIN_FREE_DISK");
    context.disk.now = { state: 2 ** 40, logs: 2 ** 40 };
    await theSpare();
  });

  test("is not made of the last subnets, which are for those who ask", async () => {
    context.settings.networkPoolSize = 4; // of 4 subnets
    fillLater(context);
    await waitUntil("networks", () => context.ahead.networks.length > 0);
    await context.ahead.filling;
    expect(context.ahead.networks).toHaveLength(2);
  });
});

describe("a network made ahead", () => {
  test("becomes an environment's alone, and goes with it", async () => {
    await fill({ networks: 1 });
    expect(await networks()).toEqual([INSTANCE, PREPARED]);
    context.settings.networkPoolSize = 0;
    const made = context.engine.calls.length;
    const { id, network } = await createEnvironment(context, { name: "mine" });
    expect(network).toMatchObject({ name: PREPARED, subnet: "10.172.0.0/28" });
    const methods = context.engine.calls.slice(made).map(({ method }) => method);
    expect(methods).not.toContain("networks.create");
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
    await destroyEnvironment(context, id);
    expect(await networks()).toEqual([INSTANCE]);
    expect(context.subnets.usage().used).toBe(0);
  });

  test("that somebody removed is nobody's: whoever would have had it gets one of its own", async () => {
    await fill({ networks: 2 });
    context.settings.networkPoolSize = 0;
    await context.engine.networks.disconnect(PREPARED, `${INSTANCE}-nginx`);
    context.engine.removeBehindOurBack(PREPARED);
    const { status, network } = await createEnvironment(context, { name: "mine" });
    expect([status, network.name]).toEqual(["running", expect.stringMatching(`^${INSTANCE}-env-`)]);
    expect(context.ahead.networks.map(({ name }) => name)).not.toContain(PREPARED);
    expect(context.subnets.usage().used).toBe(2);
  });

  test("is nothing for an environment without a way out", async () => {
    await fill({ networks: 1 });
    expect((await createEnvironment(context, { egress: false })).network.name).not.toBe(PREPARED);
  });

  test("that lost Nginx or is gone is made anew at the next reconcile", async () => {
    await fill({ networks: 1 });
    await context.engine.networks.disconnect(PREPARED, `${INSTANCE}-nginx`);
    context.settings.networkPoolSize = 0;
    await pass();
    expect(await networks()).toEqual([INSTANCE]);
    expect(context.subnets.usage().used).toBe(0);
  });

  test("that Nginx left is given to nobody, from when the engine tells of it until Nginx is back on it", async () => {
    await fill({ networks: 1 });
    context.settings.networkPoolSize = 0;
    void handleEngineEvents(context, context.stopping);
    const { networks: there } = context.engine;
    await there.disconnect(PREPARED, `${INSTANCE}-nginx`);
    const other = await createEnvironment(context, { name: "other" });
    expect([other.status, other.network.name]).toEqual(["running", expect.stringMatching(`^${INSTANCE}-env-`)]);
    await there.connect(PREPARED, `${INSTANCE}-nginx`, context.ahead.networks[0]?.ingress_address ?? "");
    const { network } = await createEnvironment(context, { name: "mine" });
    expect(network.name).toBe(PREPARED);
  });

  test("that an environment lost comes back under the same name, and is still its own", async () => {
    await fill({ networks: 1 });
    context.settings.networkPoolSize = 0;
    const { id } = await createEnvironment(context, { name: "mine" });
    await context.engine.networks.disconnect(PREPARED, `${INSTANCE}-${id}-app`);
    await context.engine.networks.disconnect(PREPARED, `${INSTANCE}-nginx`);
    context.engine.removeBehindOurBack(PREPARED);
    expect((await pass()).repaired).toEqual([id]);
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
    expect(await networks()).toContain(PREPARED);
  });

  test("of an environment that is held back stays, and its subnet is given to nobody", async () => {
    await fill({ networks: 1 });
    context.settings.networkPoolSize = 0;
    const { id, network } = await createEnvironment(context, { name: "mine" });
    await context.shippers.stop(id);
    await context.environments.remove(id);
    context.subnets.free({ base: 0, prefix: 28 });
    context.environments.quarantine.push({ id, since: context.clock.now() });
    expect((await pass(true)).orphans).toEqual([]);
    expect(await networks()).toContain(PREPARED);
    expect((await createEnvironment(context, { name: "next" })).network.subnet).not.toBe(network.subnet);
  });

  test("cannot be had by editing a state file: two records that name one are both refused", async () => {
    await fill({ networks: 1 });
    const owner = await createEnvironment(context, { name: "owner" });
    const thief = await createEnvironment(context, { name: "thief" });
    await context.environments.save({ ...thief, network: owner.network });
    for (const change of [
      injectOutage(context, thief.id, { mode: "network" }),
      destroyEnvironment(context, thief.id),
      destroyEnvironment(context, owner.id),
    ]) {
      await expect(change).rejects.toMatchObject({ code: "protected_target" });
    }
    await context.environments.save(thief);
    await destroyEnvironment(context, owner.id);
  });
});

test("a subnet that something else on the machine uses is handed to nobody", async () => {
  context.engine.addForeignNetwork("theirs", "10.172.0.0/28");
  context.routes = async () => ["10.172.0.16/28", "10.0.0.0/8", "192.168.0.0/16"];
  await pass();
  expect((await createEnvironment(context, {})).network.subnet).toBe("10.172.0.32/28");
});

test("a subnet that somebody took since is given up for another", async () => {
  context.engine.addForeignNetwork("theirs", "10.172.0.0/28");
  expect((await createEnvironment(context, {})).network.subnet).toBe("10.172.0.16/28");
  expect(context.subnets.usage().used).toBe(1);
});
