import { expect, test } from "vitest";
import { INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createRepairRouting } from "./repair-routing.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const NGINX = `${INSTANCE}-nginx`;
const pass = () => platform.reconcile({ startup: false });
const emitted = (type: string) => platform.events.emitted.filter((event) => event.type === type);

async function moveNginx(address: string): Promise<void> {
  await platform.engine.networks.disconnect(INSTANCE, NGINX);
  await platform.engine.networks.connect(INSTANCE, NGINX, address);
}

test.each([
  ["killed", () => platform.engine.containers.kill(NGINX, "SIGKILL")],
  ["paused", () => platform.engine.containers.pause(NGINX)],
  ["taken off the platform's network", () => platform.engine.networks.disconnect(INSTANCE, NGINX)],
  ["moved to another address", () => moveNginx("10.171.0.7")],
])("an Nginx that was %s is repaired by the next pass, with one event", async (_what, spoil) => {
  await spoil();
  for (let round = 0; round < 2; round++) {
    await pass();
    expect(await platform.engine.containers.inspect(NGINX)).toMatchObject({
      state: "running",
      networks: { [INSTANCE]: "10.171.0.2" },
    });
    expect(emitted("platform.repaired")).toHaveLength(1);
  }
});

test("an Nginx that does not answer after a start is reported, and not as repaired", async () => {
  await platform.engine.containers.kill(NGINX, "SIGKILL");
  platform.router.setDown(true);
  const { edge } = platform.workloads;
  expect(await createRepairRouting({ ...platform, edge, answerLimitMs: 50 })()).toBe(false);
  expect(emitted("platform.repaired")).toEqual([]);
  expect(emitted("drift.unrepaired")).toMatchObject([{ data: { reason: expect.stringContaining("does not start") } }]);
});

test("an Nginx that is gone is reported with the remedy, and no environment is blamed for it", async () => {
  await platform.make({});
  await platform.engine.containers.remove(NGINX);
  expect(await pass()).toMatchObject({ repaired: [], failed: [] });
  expect(emitted("drift.unrepaired")).toMatchObject([
    { env_id: null, data: { reason: expect.stringContaining("make up") } },
  ]);
});

test("an Nginx that a foreign file keeps from starting starts once the file is quarantined", async () => {
  platform.router.addForeign("broken.conf");
  await platform.engine.containers.kill(NGINX, "SIGKILL");
  platform.router.setDown(true);
  const start = platform.engine.containers.start.bind(platform.engine.containers);
  platform.engine.containers.start = async (name) => {
    await start(name);
    platform.router.setDown(platform.router.hasForeign("broken.conf"));
  };
  await pass();
  expect(emitted("platform.repaired")).toHaveLength(1);
});

test("an Nginx that was started anew is put back on every network at once", async () => {
  void platform.handleEngineEvents(platform.stopping);
  const { id, network } = await platform.make({});
  await platform.engine.networks.disconnect(network, NGINX);
  await platform.engine.containers.kill(NGINX, "SIGKILL");
  await platform.engine.containers.start(NGINX);
  await waitUntil("Nginx on the network", async () => {
    const facts = await platform.engine.containers.inspect(NGINX);
    return facts !== null && network in facts.networks;
  });
  expect(platform.environments.get(id)?.status).toBe("running");
});

test("without an Nginx container a creation says that Nginx is not there, and leaves nothing", async () => {
  await platform.engine.containers.remove(NGINX);
  await expect(platform.make({})).rejects.toMatchObject({ code: "ingress_unavailable" });
  expect((await platform.engine.observe()).containers).toEqual([]);
});

test("a pass that cannot reach the engine is rejected and does not blame Nginx", async () => {
  platform.engine.setAvailable(false);
  await expect(pass()).rejects.toMatchObject({ code: "engine_unavailable" });
  expect(platform.events.emitted).toEqual([]);
});
