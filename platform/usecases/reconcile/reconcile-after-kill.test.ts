import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { preparedNetworkLabels } from "../../domain/environment/labels.ts";
import { preparedNetworkName } from "../../domain/environment/names.ts";
import { DEMO_IMAGE, INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
});

const away = () => new PlatformError("engine_unavailable", "away");
const callsOf = (method: string) => platform.engine.calls.filter((call) => call.method === method);

/** The first pass finds no engine, as when the machine starts. */
async function startWithoutEngine(): Promise<void> {
  platform.engine.setAvailable(false);
  await expect(platform.reconcile({ startup: true })).rejects.toMatchObject({ code: "engine_unavailable" });
  platform.engine.setAvailable(true);
}

async function leaveNetwork(subnet: string, gateway: string): Promise<string> {
  const name = preparedNetworkName(INSTANCE, subnet);
  const labels = preparedNetworkLabels(INSTANCE);
  await platform.engine.networks.create({ name, subnet, gateway, labels, internal: false });
  return name;
}

test("a helper container goes, whichever pass is the first to get to it", async () => {
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

test("routes are put again by the first pass that can, once, and no repair is told of", async () => {
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

test("networks that were made ahead keep nobody from creating until they are removed", async () => {
  for (const n of [0, 16, 32]) await leaveNetwork(`10.172.0.${n}/28`, `10.172.0.${n + 1}`);
  expect((await platform.make({})).network.subnet).toBe("10.172.0.48/28");
  await platform.reconcile({ startup: true });
  expect((await platform.make({})).status).toBe("running");
});

test("a network that is made anew while it is removed as an orphan stays", async () => {
  const name = await leaveNetwork("10.172.0.0/28", "10.172.0.1");
  const { disconnect } = platform.engine.networks;
  platform.engine.networks.disconnect = async (...asked) => {
    platform.ahead.changing.add(name);
    return disconnect(...asked);
  };
  await platform.reconcile({ startup: false });
  expect((await platform.engine.observe()).networks.map((network) => network.name)).toContain(name);
});

test("what expired while the machine was off is not started once more to be destroyed", async () => {
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

test("an environment that could not be settled at the start is settled by a later pass", async () => {
  const { id, services } = await platform.make({});
  platform.engine.removeBehindOurBack(services[0]?.container ?? "");
  platform.engine.failNext("containers.create", away());
  expect(await platform.reconcile({ startup: true })).toMatchObject({ failed: [id] });
  expect(platform.unsettled.has(id)).toBe(true);
  expect(await platform.reconcile({ startup: false })).toMatchObject({ repaired: [id] });
  expect(platform.unsettled.has(id)).toBe(false);
});
