import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { environmentLabels } from "../../domain/environment/labels.ts";
import { DEMO_IMAGE, INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { cleanupExpired } from "../environments/cleanup-expired.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { destroyEnvironment } from "../environments/destroy-environment.ts";
import { extendEnvironment } from "../environments/extend-environment.ts";
import { injectOutage } from "../chaos/inject-outage.ts";
import { observeActual } from "./observe-environment.ts";
import { handleEngineEvents } from "./handle-engine-events.ts";
import { reconcile } from "./reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const pass = () => reconcile(context, { startup: false });
const stateOf = async (container: string) => (await context.engine.containers.inspect(container))?.state;
const containerOf = (id: string) => `${INSTANCE}-${id}-app`;

describe("an environment that", () => {
  test("is as it should be is left alone", async () => {
    await createEnvironment(context, {});
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
  });

  test("lost its container gets it back", async () => {
    const { id } = await createEnvironment(context, {});
    await context.engine.containers.remove(containerOf(id));
    expect((await pass()).repaired).toEqual([id]);
    expect(await stateOf(containerOf(id))).toBe("running");
  });

  test("lost container and network gets both back", async () => {
    const { id, network } = await createEnvironment(context, {});
    await context.engine.containers.remove(containerOf(id));
    await context.engine.networks.remove(network.name);
    expect((await pass()).repaired).toEqual([id]);
    expect((await context.engine.observe()).networks.map(({ name }) => name)).toContain(network.name);
    expect(await pass()).toMatchObject({ repaired: [], failed: [] });
  });

  test("lost its route gets it back", async () => {
    const { id } = await createEnvironment(context, {});
    await context.router.remove(id);
    expect((await pass()).repaired).toEqual([id]);
    expect(await context.router.list()).toMatchObject([{ id, enabled: true }]);
  });

  test("is one of many, all of which lost something, is looked at together with them", async () => {
    for (let n = 0; n < 3; n++) await createEnvironment(context, {});
    for (const { services } of context.environments.all())
      await context.engine.containers.remove(services[0]?.container ?? "");
    context.engine.calls.length = 0;
    expect((await pass()).repaired).toHaveLength(3);
    // At the beginning, for all of them once more, and for what the machine has of subnets.
    expect(context.engine.calls.filter(({ method }) => method === "observe")).toHaveLength(3);
  });

  test("is broken on purpose stays broken", async () => {
    const { id } = await createEnvironment(context, {});
    await injectOutage(context, id, { mode: "crash" });
    expect((await pass()).repaired).toEqual([]);
    expect(await stateOf(containerOf(id))).toBe("exited");
  });

  test("was paused on purpose and runs again after a restart of the machine is on record as such", async () => {
    const { id } = await createEnvironment(context, {});
    await injectOutage(context, id, { mode: "pause", duration: 600 });
    await context.engine.containers.kill(containerOf(id), "SIGKILL");
    expect((await pass()).repaired).toEqual([id]);
    expect(await stateOf(containerOf(id))).toBe("running");
    expect(context.environments.get(id)?.outage).toBeNull();
    expect(context.events.emitted.filter(({ type }) => type === "outage.ended")).toHaveLength(1);
  });

  test.each(["creating", "destroying"] as const)("was left %s by a killed platform is taken down", async (status) => {
    const record = await createEnvironment(context, {});
    await context.environments.save({ ...record, status });
    expect((await pass()).retired).toEqual([record.id]);
    const world = await observeActual(context);
    expect(world.engine.containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
    expect(world.routes.size).toBe(0);
    expect(context.environments.all()).toEqual([]);
    expect(context.subnets.usage().used).toBe(0);
  });

  test("has an operation under way is left to it", async () => {
    const { id } = await createEnvironment(context, {});
    await context.engine.containers.remove(containerOf(id));
    await context.locks.run(id, async () => {
      expect((await pass()).repaired).toEqual([]);
    });
    expect((await pass()).repaired).toEqual([id]);
  });

  test("cannot be repaired is reported and does not hold up the others", async () => {
    const broken = await createEnvironment(context, {});
    const other = await createEnvironment(context, {});
    for (const { id } of [broken, other]) await context.engine.containers.remove(containerOf(id));
    const create = context.engine.containers.create.bind(context.engine.containers);
    context.engine.containers.create = (spec) =>
      spec.name === containerOf(broken.id)
        ? Promise.reject(new PlatformError("engine_failed", "Cannot create"))
        : create(spec);
    expect(await pass()).toMatchObject({ repaired: [other.id], failed: [broken.id] });
  });
});

describe("what carries our label without a record", () => {
  test("is removed, container, network and route", async () => {
    const labels = (role: "app" | "network") => environmentLabels(INSTANCE, "env-orphan-1", role);
    await context.engine.networks.create({
      name: `${INSTANCE}-env-orphan-1`,
      subnet: "10.172.0.0/28",
      gateway: "10.172.0.1",
      labels: labels("network"),
      internal: false,
    });
    await context.engine.containers.create({
      name: containerOf("env-orphan-1"),
      image: DEMO_IMAGE,
      labels: labels("app"),
      env: {},
      command: null,
      network: `${INSTANCE}-env-orphan-1`,
      address: "10.172.0.3",
      aliases: [],
      resources: { memory_mb: 64, cpus: 1, pids: 64 },
    });
    await context.router.upsert({
      id: "env-orphan-1",
      host: "env-orphan-1.localhost",
      address: "10.172.0.3",
      port: 3000,
    });
    expect((await pass()).orphans).toHaveLength(3);
    const world = await observeActual(context);
    expect(world.engine.containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
    expect(world.engine.networks.map(({ name }) => name)).toEqual([INSTANCE]);
    expect(world.routes.size).toBe(0);
  });

  test("the platform's own parts are no orphans", async () => {
    expect((await pass()).orphans).toEqual([]);
    expect(await stateOf(`${INSTANCE}-nginx`)).toBe("running");
  });
});

test("at startup shippers are started and no repair is reported", async () => {
  const { id } = await createEnvironment(context, {});
  await context.shippers.stop(id);
  expect(await reconcile(context, { startup: true })).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
  expect(context.shippers.active(id)).toEqual(["app"]);
});

describe("a state file that was edited to name another's objects", () => {
  test.each(["container", "network"] as const)("by its %s makes nobody touch them", async (what) => {
    const record = await createEnvironment(context, {});
    const other = await createEnvironment(context, {});
    const edited =
      what === "container"
        ? { ...record, services: record.services.map((service) => ({ ...service, container: `${INSTANCE}-nginx` })) }
        : { ...record, network: { ...record.network, name: other.network.name } };
    await context.environments.save(edited);
    const before = await context.engine.observe();

    await expect(destroyEnvironment(context, record.id)).rejects.toMatchObject({ code: "protected_target" });
    await context.shippers.stop(record.id);
    expect((await pass()).failed).toEqual([record.id]);
    context.clock.advance(3_600_000);
    await context.environments.save({ ...other, expires_at: new Date(context.clock.now() + 60_000).toISOString() });
    await cleanupExpired(context);

    expect(await context.engine.observe()).toEqual(before);
    expect(context.shippers.active(record.id)).toEqual([]);
  });
});

test("an environment that is extended while its expiry waits for its turn lives on", async () => {
  const { id } = await createEnvironment(context, { ttl: 10 });
  context.clock.advance(11_000);
  const held = Promise.withResolvers<void>();
  const busy = context.locks.run(id, () => held.promise);
  const extending = extendEnvironment(context, id, 3600);
  const sweep = cleanupExpired(context);
  held.resolve();
  await Promise.all([busy, extending, sweep]);
  expect(context.environments.get(id)?.status).toBe("running");
});

test("an Nginx that was started anew is put back on every network at once", async () => {
  void handleEngineEvents(context, context.stopping);
  const { id, network } = await createEnvironment(context, {});
  await context.engine.networks.disconnect(network.name, `${INSTANCE}-nginx`);
  await context.engine.containers.kill(`${INSTANCE}-nginx`, "SIGKILL");
  await context.engine.containers.start(`${INSTANCE}-nginx`);
  await waitUntil("Nginx on the network", async () => {
    const facts = await context.engine.containers.inspect(`${INSTANCE}-nginx`);
    return facts !== null && network.name in facts.networks;
  });
  expect(context.environments.get(id)?.status).toBe("running");
});

test("without an Nginx container a creation says that Nginx is not there, and leaves nothing", async () => {
  await context.engine.containers.remove(`${INSTANCE}-nginx`);
  await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "ingress_unavailable" });
  expect((await context.engine.observe()).containers).toEqual([]);
});

describe("the front door", () => {
  const nginx = `${INSTANCE}-nginx`;
  const told = (type: string) => context.events.emitted.filter((event) => event.type === type);

  test.each([
    ["killed", () => context.engine.containers.kill(nginx, "SIGKILL")],
    ["paused", () => context.engine.containers.pause(nginx)],
    ["taken off the platform's network", () => context.engine.networks.disconnect(INSTANCE, nginx)],
    ["put on it at another address", () => moveNginx("10.171.0.7")],
  ])("%s is repaired and told of", async (_what, spoil) => {
    await spoil();
    await pass();
    expect(await context.engine.containers.inspect(nginx)).toMatchObject({
      state: "running",
      networks: { [INSTANCE]: context.settings.nginxAddress },
    });
    expect(told("platform.repaired")).toHaveLength(1);
    await pass();
    expect(told("platform.repaired")).toHaveLength(1);
  });

  async function moveNginx(address: string): Promise<void> {
    await context.engine.networks.disconnect(INSTANCE, nginx);
    await context.engine.networks.connect(INSTANCE, nginx, address);
  }

  test("that does not answer after a start, with nothing to put right, is told as what it is", async () => {
    await context.engine.containers.kill(nginx, "SIGKILL");
    context.router.setDown(true);
    await pass();
    expect(told("platform.repaired")).toEqual([]);
    expect(told("drift.unrepaired")).toMatchObject([{ data: { reason: expect.stringContaining("does not start") } }]);
  });

  test("that is gone is reported, and environments are not blamed for it", async () => {
    await createEnvironment(context, {});
    await context.engine.containers.remove(nginx);
    expect(await pass()).toMatchObject({ repaired: [], failed: [] });
    expect(told("drift.unrepaired")).toMatchObject([
      { env_id: null, data: { reason: expect.stringContaining("make up") } },
    ]);
  });

  test("that does not answer after a start is rescued from files that are not ours", async () => {
    context.router.addStray("broken.conf");
    await context.engine.containers.kill(nginx, "SIGKILL");
    context.router.setDown(true);
    const rescue = context.router.rescue.bind(context.router);
    context.router.rescue = async (helps) => {
      context.router.setDown(false);
      return rescue(helps);
    };
    await pass();
    expect(told("platform.repaired")).toHaveLength(1);
  });
});

test("a state file that was damaged under the running platform is written anew and told of", async () => {
  const { id } = await createEnvironment(context, {});
  context.environments.damage(id);
  expect((await pass()).repaired).toEqual([id]);
  expect(context.events.emitted.filter(({ type }) => type === "environment.repaired")).toMatchObject([
    { env_id: id, data: { steps: [`save-record ${id}`] } },
  ]);
  context.environments.damage(id);
  context.environments.failNextWrites();
  expect(await pass()).toMatchObject({ repaired: [], failed: [id] });
});

test("the state folder's sentinel is restored only by a pass after which every state file is on the disk", async () => {
  const { id } = await createEnvironment(context, {});
  let restored = 0;
  context.environments.restoreSentinel = async () => void restored++;
  context.environments.damage(id);
  context.environments.failNextWrites();
  await pass();
  expect(restored).toBe(0);
  context.environments.damage(id);
  await pass();
  expect(restored).toBe(1);
});

test("somebody else's container under our name does not keep an environment from being destroyed", async () => {
  const { id } = await createEnvironment(context, {});
  context.engine.removeBehindOurBack(containerOf(id));
  context.engine.addForeignContainer(containerOf(id));
  expect((await pass()).failed).toEqual([id]);
  await destroyEnvironment(context, id);
  expect(await stateOf(containerOf(id))).toBe("running");
  expect(context.environments.all()).toEqual([]);
});
