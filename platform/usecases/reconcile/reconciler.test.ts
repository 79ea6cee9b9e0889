import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { environmentLabels } from "../../domain/environment/labels.ts";
import {
  containerOf,
  DEMO_IMAGE,
  holdLock,
  INSTANCE,
  useFakePlatform,
  type FakePlatform,
} from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const pass = () => platform.reconcile({ startup: false });
const stateOf = async (container: string) => (await platform.engine.containers.inspect(container))?.state;

describe("an environment that", () => {
  test("is intact is left alone", async () => {
    await platform.make({});
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
  });

  test("lost its container gets it back", async () => {
    const { id } = await platform.make({});
    await platform.engine.containers.remove(containerOf(id));
    expect((await pass()).repaired).toEqual([id]);
    expect(await stateOf(containerOf(id))).toBe("running");
  });

  test("lost container and network gets both back", async () => {
    const { id, network } = await platform.make({});
    await platform.engine.containers.remove(containerOf(id));
    await platform.engine.networks.remove(network);
    expect((await pass()).repaired).toEqual([id]);
    expect((await platform.engine.observe()).networks.map(({ name }) => name)).toContain(network);
    expect(await pass()).toMatchObject({ repaired: [], failed: [] });
  });

  test("lost its route gets it back", async () => {
    const { id } = await platform.make({});
    await platform.router.remove(id);
    expect((await pass()).repaired).toEqual([id]);
    expect(await platform.router.list()).toMatchObject([{ id, enabled: true }]);
  });

  test("lost something at the same time as others is looked at together with them", async () => {
    for (let n = 0; n < 3; n++) await platform.make({});
    for (const { services } of platform.environments.all())
      await platform.engine.containers.remove(services[0]?.container ?? "");
    platform.engine.calls.length = 0;
    expect((await pass()).repaired).toHaveLength(3);
    // At the beginning, once more for all of them, and when the pass tidies up.
    expect(platform.engine.calls.filter(({ method }) => method === "observe")).toHaveLength(3);
  });

  test("is broken on purpose stays broken", async () => {
    const { id } = await platform.make({});
    await platform.injectOutage(id, { mode: "crash" });
    expect((await pass()).repaired).toEqual([]);
    expect(await stateOf(containerOf(id))).toBe("exited");
  });

  test("was paused on purpose has no outage on record when it runs again after a restart of the machine", async () => {
    const { id } = await platform.make({});
    await platform.injectOutage(id, { mode: "pause", duration: 600 });
    await platform.engine.containers.kill(containerOf(id), "SIGKILL");
    expect((await pass()).repaired).toEqual([id]);
    expect(await stateOf(containerOf(id))).toBe("running");
    expect(platform.environments.get(id)?.outage).toBeNull();
    expect(platform.events.emitted.filter(({ type }) => type === "outage.ended")).toHaveLength(1);
  });

  test.each(["creating", "destroying"] as const)("was left %s by a killed platform is taken down", async (status) => {
    const record = await platform.make({});
    await platform.environments.save({ ...record, status });
    expect((await pass()).retired).toEqual([record.id]);
    const facts = await platform.engine.observe();
    expect(facts.containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
    expect(await platform.router.list()).toEqual([]);
    expect(platform.environments.all()).toEqual([]);
    expect(platform.workloads.capacity()).toEqual({ environments: 4 });
  });

  test("has an operation in progress is left to it", async () => {
    const { id } = await platform.make({});
    await platform.engine.containers.remove(containerOf(id));
    await platform.locks.run(id, async () => {
      expect((await pass()).repaired).toEqual([]);
    });
    expect((await pass()).repaired).toEqual([id]);
  });

  test("cannot be repaired is reported and does not hold up the others", async () => {
    const broken = await platform.make({});
    const other = await platform.make({});
    for (const { id } of [broken, other]) await platform.engine.containers.remove(containerOf(id));
    const create = platform.engine.containers.create.bind(platform.engine.containers);
    platform.engine.containers.create = (spec) =>
      spec.name === containerOf(broken.id)
        ? Promise.reject(new PlatformError("engine_failed", "Cannot create"))
        : create(spec);
    expect(await pass()).toMatchObject({ repaired: [other.id], failed: [broken.id] });
  });
});

describe("an object with our label and without a record", () => {
  test("is removed: container, network and route", async () => {
    const labels = (role: "app" | "network") => environmentLabels(INSTANCE, "env-orphan-1", role);
    await platform.engine.networks.create({
      name: `${INSTANCE}-env-orphan-1`,
      subnet: "10.172.0.0/28",
      gateway: "10.172.0.1",
      labels: labels("network"),
      internal: false,
    });
    await platform.engine.containers.create({
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
    await platform.router.upsert({
      id: "env-orphan-1",
      host: "env-orphan-1.localhost",
      address: "10.172.0.3",
      port: 3000,
    });
    expect((await pass()).orphans).toHaveLength(3);
    const facts = await platform.engine.observe();
    expect(facts.containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
    expect(facts.networks.map(({ name }) => name)).toEqual([INSTANCE]);
    expect(await platform.router.list()).toEqual([]);
  });

  test("stays when it is a part of the platform", async () => {
    expect((await pass()).orphans).toEqual([]);
    expect(await stateOf(`${INSTANCE}-nginx`)).toBe("running");
  });
});

test("at startup shippers are started and no repair is reported", async () => {
  const { id } = await platform.make({});
  await platform.shippers.stop(id);
  expect(await platform.reconcile({ startup: true })).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
  expect(platform.shippers.active(id)).toEqual(["app"]);
});

test("an environment that is extended while its expiry waits for the lock lives on", async () => {
  const { id } = await platform.make({ ttl: 10 });
  platform.clock.advance(11_000);
  const release = holdLock(platform, id);
  const extending = platform.extend(id, 3600);
  const sweep = platform.cleanupExpired();
  await Promise.all([release(), extending, sweep]);
  expect(platform.environments.get(id)?.status).toBe("running");
});

test("a state file that was damaged under the running platform is written anew, with an event", async () => {
  const { id } = await platform.make({});
  platform.environments.damage(id);
  expect((await pass()).repaired).toEqual([id]);
  expect(platform.events.emitted.filter(({ type }) => type === "environment.repaired")).toMatchObject([
    { env_id: id, data: { steps: [`save-record ${id}`] } },
  ]);
  platform.environments.damage(id);
  platform.environments.failNextWrites();
  expect(await pass()).toMatchObject({ repaired: [], failed: [id] });
});

test("the state folder's sentinel is restored only by a pass after which every state file is on the disk", async () => {
  const { id } = await platform.make({});
  let restored = 0;
  platform.environments.restoreSentinel = async () => void restored++;
  platform.environments.damage(id);
  platform.environments.failNextWrites();
  await pass();
  expect(restored).toBe(0);
  platform.environments.damage(id);
  await pass();
  expect(restored).toBe(1);
});

test("another owner's container under our name does not keep an environment from being destroyed", async () => {
  const { id } = await platform.make({});
  platform.engine.removeBehindOurBack(containerOf(id));
  platform.engine.addForeignContainer(containerOf(id));
  expect((await pass()).failed).toEqual([id]);
  await platform.destroy(id);
  expect(await stateOf(containerOf(id))).toBe("running");
  expect(platform.environments.all()).toEqual([]);
});

describe("an environment on a node that is silent", () => {
  async function silence(): Promise<string> {
    const { id } = await platform.make({});
    const { observe } = platform.workloads;
    platform.workloads.observe = async () => {
      const found = await observe();
      for (const service of Object.values(found.get(id)?.services ?? {})) service.state = "unknown";
      return found;
    };
    return id;
  }

  test("is left alone by a pass", async () => {
    await silence();
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
  });

  test("keeps its outage on record when it cannot be recovered", async () => {
    const id = await silence();
    await platform.injectOutage(id, { mode: "stress" });
    await expect(platform.recover(id)).rejects.toMatchObject({ code: "engine_unavailable" });
    expect(platform.environments.get(id)?.outage).toMatchObject({ mode: "stress" });
  });
});
