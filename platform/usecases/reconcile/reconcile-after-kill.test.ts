import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { pooledNetworkLabels } from "../../domain/environment/labels.ts";
import { pooledNetworkName } from "../../workloads/docker/environment-network.ts";
import {
  containerOf,
  createFakePlatform,
  DEMO_IMAGE,
  INSTANCE,
  useFakePlatform,
  type FakePlatform,
} from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const away = () => new PlatformError("engine_unavailable", "away");
const callsOf = (method: string) => platform.engine.calls.filter((call) => call.method === method);

/** The first pass finds no engine, as when the machine starts. */
async function startWithoutEngine(): Promise<void> {
  platform.engine.setAvailable(false);
  await expect(platform.reconcile({ startup: true })).rejects.toMatchObject({ code: "engine_unavailable" });
  platform.engine.setAvailable(true);
}

async function leaveNetwork(subnet: string, gateway: string): Promise<string> {
  const name = pooledNetworkName(INSTANCE, subnet);
  const labels = pooledNetworkLabels(INSTANCE);
  await platform.engine.networks.create({ name, subnet, gateway, labels, internal: false });
  return name;
}

test("the first pass that reaches the engine removes the helper container of a killed platform", async () => {
  const name = `${INSTANCE}-helper-1`;
  await platform.engine.containers.create({
    name,
    image: DEMO_IMAGE,
    labels: { "sandbox.platform": INSTANCE, "sandbox.role": "helper" },
    env: {},
    command: null,
    network: INSTANCE,
    address: "10.171.0.9",
    aliases: [],
    resources: { memory_mb: 64, cpus: 1, pids: 64 },
  });
  await startWithoutEngine();
  await platform.reconcile({ startup: false });
  expect(await platform.engine.containers.inspect(name)).toBeNull();
});

test("the first pass that reaches the engine loads every route anew, once, and reports no repair", async () => {
  const { id } = await platform.make({});
  const put: string[] = [];
  const { upsert: putRoute } = platform.router;
  platform.router.upsert = async (route) => {
    put.push(route.id);
    return putRoute(route);
  };
  await startWithoutEngine();
  expect(await platform.reconcile({ startup: false })).toMatchObject({ repaired: [], failed: [] });
  expect(put).toEqual([id]);
  await platform.reconcile({ startup: false });
  expect(put).toEqual([id]);
});

test("a create succeeds while networks of a killed platform are still there", async () => {
  for (const n of [0, 16, 32]) await leaveNetwork(`10.172.0.${n}/28`, `10.172.0.${n + 1}`);
  expect((await platform.make({})).status).toBe("running");
  await platform.reconcile({ startup: true });
  expect((await platform.make({})).status).toBe("running");
});

test("an environment that expired while the machine was off is not started before it is destroyed", async () => {
  const { id, services } = await platform.make({ ttl: 10 });
  await platform.engine.containers.kill(services[0]?.container ?? "", "SIGKILL");
  platform.clock.advance(11_000);
  platform.engine.calls.length = 0;
  await platform.reconcile({ startup: true });
  await platform.cleanupExpired();
  expect(callsOf("containers.start")).toEqual([]);
  expect(platform.environments.get(id)).toBeNull();
});

test("a platform that is told to stop leaves further orphans to the next start", async () => {
  const name = await leaveNetwork("10.172.0.0/28", "10.172.0.1");
  platform.stop.abort();
  expect(await platform.reconcile({ startup: false })).toMatchObject({ orphans: [], failed: [] });
  expect((await platform.engine.observe()).networks.map((network) => network.name)).toContain(name);
});

test("an environment that could not be reconciled at the start is reconciled by a later pass", async () => {
  const { id, services } = await platform.make({});
  platform.engine.removeBehindOurBack(services[0]?.container ?? "");
  platform.engine.failNext("containers.create", away());
  expect(await platform.reconcile({ startup: true })).toMatchObject({ failed: [id] });
  expect(await platform.reconcile({ startup: false })).toMatchObject({ repaired: [id] });
});

test("an environment that was disconnected on purpose keeps its address over a restart, for its route and its recovery", async () => {
  const { id } = await platform.make({});
  await platform.injectOutage(id, { mode: "network" });
  const restarted = await createFakePlatform({ killed: platform });
  expect(await restarted.reconcile({ startup: true })).toMatchObject({ repaired: [], failed: [] });
  const routed = async () => (await restarted.router.list()).map(({ address }) => address);
  expect(await routed()).toEqual(["10.172.0.3"]);
  await restarted.recover(id);
  expect(await routed()).toEqual(["10.172.0.3"]);
  const container = await restarted.engine.containers.inspect(containerOf(id));
  expect(Object.values(container?.networks ?? {})).toEqual(["10.172.0.3"]);
  restarted.stop.abort();
  await restarted.shippers.stopAll();
});
