import { expect, test } from "vitest";
import { createFakePlatform, INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { fillPools, fillPoolsOnce } from "../../test/support/fill-pools.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
});

const NO_CHANGE = { repaired: [], retired: [], orphans: [], failed: [] };
const NGINX = `${INSTANCE}-nginx`;
const POOLED = `${INSTANCE}-net-10-172-0-0-28`;
const pass = () => platform.reconcile({ startup: false });
const networks = async () => (await platform.engine.observe()).networks.map(({ name }) => name);
const used = () => 4 - platform.workloads.capacity().environments;
const callsSince = (count: number) => platform.engine.calls.slice(count).map(({ method }) => method);

test("a network of the pool becomes one environment's alone, and goes with it", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  expect(await networks()).toEqual([INSTANCE, POOLED]);
  const before = platform.engine.calls.length;
  const { id, network } = await platform.make({ name: "mine" });
  expect(network).toBe(POOLED);
  expect(callsSince(before)).not.toContain("networks.create");
  expect(await pass()).toEqual(NO_CHANGE);
  await platform.destroy(id);
  expect(await networks()).toEqual([INSTANCE]);
  expect(used()).toBe(0);
});

test("a create recovers when the network it got from the pool was removed behind the platform's back", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  await platform.engine.networks.disconnect(POOLED, NGINX);
  platform.engine.removeBehindOurBack(POOLED);
  const { id, status } = await platform.make({ name: "mine" });
  expect(status).toBe("running");
  expect(await pass()).toEqual(NO_CHANGE);
  await platform.destroy(id);
  expect(await networks()).toEqual([INSTANCE]);
  expect(used()).toBe(0);
});

test("an environment without a way out gets no network of the pool", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  expect((await platform.make({ egress: false })).network).not.toBe(POOLED);
});

test("a network of the pool that lost Nginx is discarded by the next pass", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  await platform.engine.networks.disconnect(POOLED, NGINX);
  await pass();
  expect(await networks()).toEqual([INSTANCE]);
  expect(used()).toBe(0);
});

test("a network of the pool that Nginx left is not given away until Nginx is back on it", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  void platform.handleEngineEvents(platform.stopping);
  await platform.engine.networks.disconnect(POOLED, NGINX);
  const other = await platform.make({ name: "other" });
  expect([other.status, other.network]).toEqual(["running", expect.stringMatching(`^${INSTANCE}-env-`)]);
  await platform.engine.networks.connect(POOLED, NGINX, "10.172.0.2");
  expect((await platform.make({ name: "mine" })).network).toBe(POOLED);
});

test("a network of the pool that an environment lost comes back under the same name", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  const { id } = await platform.make({ name: "mine" });
  await platform.engine.networks.disconnect(POOLED, `${INSTANCE}-${id}-app`);
  await platform.engine.networks.disconnect(POOLED, NGINX);
  platform.engine.removeBehindOurBack(POOLED);
  expect((await pass()).repaired).toEqual([id]);
  expect(await pass()).toEqual(NO_CHANGE);
  expect(await networks()).toContain(POOLED);
});

test("a restart finds out which environment has a network of the pool", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  const { id } = await platform.make({ name: "mine" });
  const restarted = await createFakePlatform({ killed: platform });
  expect(await restarted.reconcile({ startup: true })).toEqual(NO_CHANGE);
  expect(await networks()).toContain(POOLED);
  expect(restarted.workloads.capacity()).toEqual({ environments: 3 });
  await restarted.destroy(id);
  expect(await networks()).toEqual([INSTANCE]);
  expect(restarted.workloads.capacity()).toEqual({ environments: 4 });
});

test("a restarted platform ends a network outage, in which the engine knows no address of the service", async () => {
  const { id } = await platform.make();
  await platform.injectOutage(id, { mode: "network" });
  const restarted = await createFakePlatform({ killed: platform });
  expect(await restarted.reconcile({ startup: true })).toEqual(NO_CHANGE);
  expect(await restarted.recover(id)).toMatchObject({ status: "running", outage: null });
});

test("a restarted platform repairs an environment that lost its network in one pass", async () => {
  const { id, network } = await platform.make();
  for (const name of [`${INSTANCE}-${id}-app`, NGINX]) await platform.engine.networks.disconnect(network, name);
  platform.engine.removeBehindOurBack(network);
  const restarted = await createFakePlatform({ killed: platform });
  expect((await restarted.reconcile({ startup: true })).repaired).toEqual([id]);
  expect(await restarted.reconcile({ startup: false })).toEqual(NO_CHANGE);
});

test("the network of a protected environment stays, and its subnet is given to no other", async () => {
  await fillPoolsOnce(platform, { networks: 1 });
  const { id } = await platform.make({ name: "mine" });
  await platform.shippers.stop(id);
  await platform.environments.remove(id);
  platform.environments.quarantine.push({ id, since: platform.clock.now() });
  const restarted = await createFakePlatform({ killed: platform });
  expect((await restarted.reconcile({ startup: true })).orphans).toEqual([]);
  expect(await networks()).toContain(POOLED);
  const next = await restarted.make({ name: "next" });
  const facts = await platform.engine.observe();
  expect(facts.networks.find(({ name }) => name === next.network)?.subnet).toBe("10.172.0.16/28");
});

test("names in a state file lead to no other environment's objects", async () => {
  const owner = await platform.make({ name: "owner" });
  const other = await platform.make({ name: "other" });
  const services = other.services.map((service) => ({ ...service, container: owner.services[0]?.container ?? "" }));
  await platform.environments.save({ ...other, network: owner.network, services });
  await platform.injectOutage(other.id, { mode: "pause" });
  expect((await platform.engine.containers.inspect(`${INSTANCE}-${owner.id}-app`))?.state).toBe("running");
  expect((await platform.engine.containers.inspect(`${INSTANCE}-${other.id}-app`))?.state).toBe("paused");
  await platform.destroy(other.id);
  expect(await networks()).toEqual([INSTANCE, owner.network]);
});

test("the pool takes at most half of the subnets", async () => {
  platform.networkPoolSize.now = 4; // of 4 subnets
  platform.networkPool.refill();
  await platform.networkPool.whenIdle();
  expect(platform.networkPool.stats().ready).toBe(2);
});

test("the pool is refilled after a create took a network from it", async () => {
  await fillPools(platform, { networks: 1 });
  await platform.make({ name: "mine" });
  await platform.networkPool.whenIdle();
  expect(platform.networkPool.stats()).toMatchObject({ ready: 1, wanted: 1 });
});

test("a subnet that something else on the machine uses is given to no environment", async () => {
  platform.engine.addForeignNetwork("theirs", "10.172.0.0/28");
  await pass();
  const { network } = await platform.make();
  const facts = await platform.engine.observe();
  expect(facts.networks.find(({ name }) => name === network)?.subnet).toBe("10.172.0.16/28");
});

test("a create takes another subnet where the engine refuses the first one", async () => {
  platform.engine.addForeignNetwork("theirs", "10.172.0.0/28");
  const { network } = await platform.make();
  const facts = await platform.engine.observe();
  expect(facts.networks.find(({ name }) => name === network)?.subnet).toBe("10.172.0.16/28");
  expect(used()).toBe(1);
});
