import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { preparedNetworkLabels } from "../../domain/environment/labels.ts";
import { preparedNetworkName } from "../../domain/environment/names.ts";
import { DEMO_IMAGE, INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { cleanupExpired } from "../environments/cleanup-expired.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { reconcile } from "./reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const away = () => new PlatformError("engine_unavailable", "away");
const callsOf = (method: string) => context.engine.calls.filter((call) => call.method === method);

/** The first pass finds no engine, as when the machine starts. */
async function startWithoutEngine(): Promise<void> {
  context.engine.setAvailable(false);
  await expect(reconcile(context, { startup: true })).rejects.toMatchObject({ code: "engine_unavailable" });
  context.engine.setAvailable(true);
}

async function leaveNetwork(subnet: string, gateway: string): Promise<string> {
  const name = preparedNetworkName(INSTANCE, subnet);
  const labels = preparedNetworkLabels(INSTANCE);
  await context.engine.networks.create({ name, subnet, gateway, labels, internal: false });
  return name;
}

test("a helper container goes, whichever pass is the first to get to it", async () => {
  const name = `${INSTANCE}-helper-1`;
  await context.engine.containers.create({
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
  await reconcile(context, { startup: false });
  expect(await context.engine.containers.inspect(name)).toBeNull();
});

test("routes are put again by the first pass that can, once, and no repair is told of", async () => {
  const { id } = await createEnvironment(context, {});
  const put: string[] = [];
  const { upsert: putRoute } = context.router;
  context.router.upsert = async (route) => {
    put.push(route.id);
    return putRoute(route);
  };
  await startWithoutEngine();
  expect(await reconcile(context, { startup: false })).toMatchObject({ repaired: [], failed: [] });
  expect(put).toEqual([id]);
  await reconcile(context, { startup: false });
  expect(put).toEqual([id]);
});

test("networks that were made ahead keep nobody from creating until they are removed", async () => {
  for (const n of [0, 16, 32]) await leaveNetwork(`10.172.0.${n}/28`, `10.172.0.${n + 1}`);
  expect((await createEnvironment(context, {})).network.subnet).toBe("10.172.0.48/28");
  await reconcile(context, { startup: true });
  expect((await createEnvironment(context, {})).status).toBe("running");
});

test("a network that is made anew while it is removed as an orphan stays", async () => {
  const name = await leaveNetwork("10.172.0.0/28", "10.172.0.1");
  const { disconnect } = context.engine.networks;
  context.engine.networks.disconnect = async (...asked) => {
    context.ahead.changing.add(name);
    return disconnect(...asked);
  };
  await reconcile(context, { startup: false });
  expect((await context.engine.observe()).networks.map((network) => network.name)).toContain(name);
});

test("what expired while the machine was off is not started once more to be destroyed", async () => {
  const { id, services } = await createEnvironment(context, { ttl: 10 });
  await context.engine.containers.kill(services[0]?.container ?? "", "SIGKILL");
  context.clock.advance(11_000);
  context.engine.calls.length = 0;
  await reconcile(context, { startup: true });
  await cleanupExpired(context);
  expect(callsOf("containers.start")).toEqual([]);
  expect(context.environments.get(id)).toBeNull();
});

test("a platform that is told to stop leaves further orphans to the next start", async () => {
  const name = await leaveNetwork("10.172.0.0/28", "10.172.0.1");
  context.stop.abort();
  expect(await reconcile(context, { startup: false })).toMatchObject({ orphans: [], failed: [] });
  expect((await context.engine.observe()).networks.map((network) => network.name)).toContain(name);
});

test("an environment that could not be settled at the start is settled by a later pass", async () => {
  const { id, services } = await createEnvironment(context, {});
  context.engine.removeBehindOurBack(services[0]?.container ?? "");
  context.engine.failNext("containers.create", away());
  expect(await reconcile(context, { startup: true })).toMatchObject({ failed: [id] });
  expect(context.unsettled.has(id)).toBe(true);
  expect(await reconcile(context, { startup: false })).toMatchObject({ repaired: [id] });
  expect(context.unsettled.has(id)).toBe(false);
});
