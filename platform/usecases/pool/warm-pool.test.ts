import request from "supertest";
import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import {
  containerOf,
  createFakeApp,
  createFakePlatform,
  DEMO_IMAGE,
  INSTANCE,
  useFakePlatform,
  type FakePlatform,
} from "../../test/support/fake-platform.ts";
import { fillPools, fillPoolsOnce } from "../../test/support/fill-pools.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const NO_CHANGE = { repaired: [], retired: [], orphans: [], failed: [] };
const WELL = { ok: true, detail: "" };
const pass = () => platform.reconcile({ startup: false });
const ready = () => platform.pool.ready();
const containers = async () => (await platform.engine.observe()).containers.map(({ name }) => name);
const routeOf = (id: string) => platform.router.routeOf(`${id}.localhost`);
const usedNetworks = () => 4 - platform.workloads.capacity().environments;

async function theWarmOne(): Promise<string> {
  await fillPools(platform, { warm: 1 });
  const [id] = ready();
  if (id === undefined) throw new Error("the pool is empty");
  return id;
}

/** Waits until the pool holds one environment, and not this one. */
const expectReplaced = (id: string) =>
  waitUntil("another warm environment", () => ready().length === 1 && ready()[0] !== id);

test("a warm environment runs with a disabled route, and is neither listed, nor counted, nor saved, nor logged", async () => {
  platform.settings.quota.environments = 1;
  const id = await theWarmOne();
  expect(await containers()).toContain(containerOf(id));
  expect(await platform.router.list()).toMatchObject([{ id, enabled: false }]);
  expect(routeOf(id)).toBeNull();
  expect(platform.environments.all()).toEqual([]);
  expect(await platform.logs.list()).toEqual([]);
  expect((await request(createFakeApp(platform)).get(`/envs/${id}`)).status).toBe(404);
  expect((await platform.make({ name: "other" })).name).toBe("other");
});

test("acquire begins the lifetime of a warm environment and makes nothing", async () => {
  const id = await theWarmOne();
  platform.clock.advance(3_600_000);
  const made = platform.engine.calls.length;
  const acquired = await platform.make({ ttl: 600 }, { owner: "ann" });
  expect(acquired).toMatchObject({ id, status: "running", ttl: 600, owner: "ann" });
  expect(Date.parse(acquired.created_at)).toBe(platform.clock.now());
  expect(platform.environments.get(id)).toEqual(acquired);
  expect(routeOf(id)).not.toBeNull();
  expect(platform.shippers.active(id)).toEqual(["app"]);
  const methods = platform.engine.calls.slice(made).map(({ method }) => method);
  expect(methods.filter((method) => /create|start|connect/.test(method))).toEqual([]);
});

test("a warm environment that was acquired is replaced", async () => {
  const id = await theWarmOne();
  await platform.make();
  await expectReplaced(id);
});

test.each([{ name: "mine" }, { env: { A: "1" } }, { egress: false }, { port: 3000 }, { command: ["x"] }])(
  "a request for %j gets no warm environment",
  async (wish) => {
    const id = await theWarmOne();
    expect((await platform.make(wish)).id).not.toBe(id);
    expect(ready()).toEqual([id]);
  },
);

test("the pool holds environments of further images where the settings name them", async () => {
  platform.engine.addImage("other:1", [8000]);
  await fillPools(platform, { warm: 1, images: ["other:1"] });
  const ids = ready();
  const { id, services } = await platform.make({ image: "other:1" });
  expect(ids).toContain(id);
  expect(services[0]).toMatchObject({ image: "other:1", port: 8000 });
});

test("an image that cannot be had does not keep others from the pool, and healthz says why", async () => {
  platform.settings.warmImages = ["missing:1"];
  platform.settings.warmPoolSize = 1;
  platform.pool.refill();
  await platform.pool.whenIdle();
  const { parts } = await platform.readPlatformHealth(WELL);
  expect(parts.warm_pool.ok).toBe(true);
  expect(parts.warm_pool.detail).toMatch(/^1 of 2 environments and 0 of 0 networks are ready; .*missing:1/);
});

test("a warm environment that does not answer is discarded, and the caller gets another", async () => {
  const id = await theWarmOne();
  platform.probe.set(`${id}.localhost`, { status: 500 });
  expect((await platform.make()).id).not.toBe(id);
  await waitUntil("it to be gone", async () => !(await containers()).includes(containerOf(id)));
});

test("an edge proxy that fails costs no warm environment: the caller is told the reason, as without a pool", async () => {
  await fillPoolsOnce(platform, { warm: 2 });
  const before = ready();
  platform.probe.setDown(true);
  platform.router.setDown(true);
  await expect(platform.make()).rejects.toMatchObject({ code: "ingress_unavailable" });
  expect(ready()).toEqual(before);
  platform.probe.setDown(false);
  platform.router.setDown(false);
  expect((await platform.make()).id).toBe(before[0]);
});

test("a warm environment is not given away when its image has changed, and is replaced by the next pass", async () => {
  const id = await theWarmOne();
  platform.engine.addImage(DEMO_IMAGE, [3000]);
  expect((await platform.make()).id).not.toBe(id);
  await pass();
  expect(ready()).not.toContain(id);
  await expectReplaced(id);
  expect(await containers()).not.toContain(containerOf(id));
});

test("a warm environment whose container ends is replaced at once", async () => {
  void platform.handleEngineEvents(platform.stopping);
  const id = await theWarmOne();
  platform.engine.exit(containerOf(id), 1);
  await expectReplaced(id);
  expect(await containers()).not.toContain(containerOf(id));
});

test("a pass leaves an intact warm environment alone", async () => {
  const id = await theWarmOne();
  expect(await pass()).toEqual(NO_CHANGE);
  expect(ready()).toEqual([id]);
});

test("a warm environment whose container was removed is replaced by the next pass", async () => {
  const id = await theWarmOne();
  platform.engine.removeBehindOurBack(containerOf(id));
  await pass();
  await expectReplaced(id);
});

test("a warm environment whose image is gone is discarded by a pass that goes on", async () => {
  await theWarmOne();
  platform.engine.images.ensure = async () => {
    throw new PlatformError("image_not_found", "gone");
  };
  expect(await pass()).toEqual(NO_CHANGE);
  expect(ready()).toEqual([]);
});

test("a warm environment whose image cannot be looked at now stays", async () => {
  const id = await theWarmOne();
  const { ensure } = platform.engine.images;
  platform.engine.images.ensure = async () => {
    throw new PlatformError("engine_unavailable", "away");
  };
  expect(await pass()).toEqual(NO_CHANGE);
  platform.engine.images.ensure = ensure;
  await platform.pool.whenIdle();
  expect(ready()).toEqual([id]);
});

test("a warm environment that is acquired during a pass stays intact, whatever the pass finds", async () => {
  await fillPoolsOnce(platform, { warm: 1 });
  const { ensure } = platform.engine.images;
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  platform.engine.images.ensure = async (...args) => {
    platform.engine.images.ensure = ensure;
    asked.resolve();
    await answer.promise;
    return { ...(await ensure(...args)), id: "sha256:another" };
  };
  const review = pass();
  await asked.promise;
  const { id } = await platform.make();
  answer.resolve();
  await review;
  expect(platform.environments.get(id)).toMatchObject({ status: "running" });
  expect(await platform.engine.containers.inspect(containerOf(id))).toMatchObject({ state: "running" });
  expect(await pass()).toEqual(NO_CHANGE);
});

test("the start after a kill removes what the pools held", async () => {
  await fillPoolsOnce(platform, { warm: 1, networks: 1 });
  const restarted = await createFakePlatform({ killed: platform });
  await restarted.reconcile({ startup: true });
  expect(await containers()).toEqual([`${INSTANCE}-nginx`]);
  expect((await platform.engine.observe()).networks.map(({ name }) => name)).toEqual([INSTANCE]);
  expect(await platform.router.list()).toEqual([]);
  expect(restarted.workloads.capacity()).toEqual({ environments: 4 });
});

test("a warm environment that the disk refuses to save is taken down, and the caller is told", async () => {
  await fillPoolsOnce(platform, { warm: 1 });
  const [id] = ready();
  platform.environments.failNextWrites(1);
  await expect(platform.make()).rejects.toMatchObject({ code: "storage_failed" });
  expect(await containers()).not.toContain(containerOf(id ?? ""));
  expect(usedNetworks()).toBe(0);
  expect(platform.pool.ids()).toEqual([]);
});

test("the reconciler retires a warm environment that could be neither given away nor taken down", async () => {
  await fillPoolsOnce(platform, { warm: 1 });
  const [id] = ready();
  const { enable } = platform.router;
  platform.router.enable = async () => {
    throw new PlatformError("storage_failed", "read-only");
  };
  platform.engine.failNext("containers.remove", new PlatformError("engine_unavailable", "away"));
  await expect(platform.make()).rejects.toMatchObject({ code: "storage_failed" });
  platform.router.enable = enable;
  expect(platform.environments.get(id ?? "")).toMatchObject({ status: "creating" });
  expect(platform.events.emitted).toContainEqual(expect.objectContaining({ type: "environment.failed", env_id: id }));
  expect(await pass()).toMatchObject({ retired: [id], repaired: [], failed: [] });
  expect(platform.environments.all()).toEqual([]);
  expect(await platform.router.list()).toEqual([]);
  expect(usedNetworks()).toBe(0);
});

test("a warm environment counts against the quota once it is acquired", async () => {
  platform.settings.quota.environments = 1;
  await theWarmOne();
  await platform.make();
  await expect(platform.make()).rejects.toMatchObject({ code: "capacity_exhausted" });
});

test("two callers at once do not get the same warm environment", async () => {
  await theWarmOne();
  const [one, other] = await Promise.all([platform.make(), platform.make()]);
  expect(one.id).not.toBe(other.id);
});

test("the pool is not filled while the disk has too little room, and healthz says why", async () => {
  platform.diskSpace.now = { state: 2 ** 40, logs: 0 };
  platform.settings.warmPoolSize = 1;
  platform.pool.refill();
  await platform.pool.whenIdle();
  expect(platform.pool.ids()).toEqual([]);
  const { parts } = await platform.readPlatformHealth(WELL);
  expect(parts.warm_pool.detail).toContain("MIN_FREE_DISK");
  platform.diskSpace.now = { state: 2 ** 40, logs: 2 ** 40 };
  await theWarmOne();
});

test("the pool is filled beside a caller who never pauses", async () => {
  platform.settings.warmPoolSize = 1;
  const busy = platform.idle.busyWhile(() => waitUntil("the pool to be full", () => ready().length === 1));
  platform.pool.refill();
  await busy;
  expect(ready()).toHaveLength(1);
});

test("a warm environment leaves the networks of the other pool to callers", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  platform.settings.warmPoolSize = 1;
  platform.pool.refill();
  await platform.pool.whenIdle();
  expect(ready()).toHaveLength(1);
  expect(platform.networkPool.stats().ready).toBe(1);
});

test("warm environments take at most half of the subnets, and healthz says so", async () => {
  platform.settings.warmPoolSize = 4;
  platform.pool.refill();
  await platform.pool.whenIdle();
  expect(ready()).toHaveLength(2);
  expect(usedNetworks()).toBe(2);
  const { parts } = await platform.readPlatformHealth(WELL);
  expect(parts.warm_pool.detail).toMatch(/^2 of 4 environments.*half of all subnets/);
});

test("a warm environment that could neither be made nor taken down gives its subnet back at the next pass", async () => {
  const { create } = platform.engine.networks;
  platform.engine.networks.create = async (spec) => {
    platform.engine.setAvailable(false);
    return create(spec);
  };
  platform.settings.warmPoolSize = 1;
  platform.pool.refill();
  await platform.pool.whenIdle();
  platform.settings.warmPoolSize = 0;
  platform.engine.networks.create = create;
  platform.engine.setAvailable(true);
  await pass();
  expect(usedNetworks()).toBe(0);
  expect(platform.pool.ids()).toEqual([]);
});

test("a platform that is told to stop evicts no more warm environments", async () => {
  await fillPools(platform, { warm: 1 });
  const before = ready();
  platform.settings.quota.memoryMb = 1;
  platform.stop.abort();
  platform.pool.refill();
  await platform.pool.whenIdle();
  expect(ready()).toEqual(before);
});
