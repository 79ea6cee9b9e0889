import { expect, test } from "vitest";
import { INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
  platform.settings.createTimeout = 5;
});

/** Starts a creation whose application never answers well, and returns it with its id. */
async function createSick() {
  const check = platform.probe.check.bind(platform.probe);
  platform.probe.check = async (target) => ({
    ...(await check(target)),
    ok: false,
    status: 500,
    fault: "environment",
    error: "answered 500",
  });
  const creation = platform.make({ name: "sick" });
  creation.catch(() => {});
  const { id } = await waitUntil("the container to run", async () => {
    const record = platform.environments.all()[0];
    const facts = record && (await platform.engine.containers.inspect(`${INSTANCE}-${record.id}-app`));
    return facts?.state === "running" ? record : null;
  });
  return { id, creation };
}

async function expectNothingLeft() {
  const { containers, networks } = await platform.engine.observe();
  expect(containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
  expect(networks.map(({ name }) => name)).toEqual([INSTANCE]);
  expect(await platform.router.list()).toEqual([]);
  expect(platform.environments.all()).toEqual([]);
  expect(platform.workloads.capacity()).toEqual({ environments: 4 });
}

test("the state file exists before the first Docker object", async () => {
  const create = platform.engine.networks.create.bind(platform.engine.networks);
  let records = -1;
  platform.engine.networks.create = (spec) => {
    records = platform.environments.all().length;
    return create(spec);
  };
  await platform.make({});
  expect(records).toBe(1);
});

test("a destroy cuts a creation short: both are answered and nothing is left", async () => {
  const { id, creation } = await createSick();
  expect(await platform.destroy(id)).toEqual({ id, status: "destroyed", archived_logs: null });
  await expect(creation).rejects.toMatchObject({ code: "conflict" });
  await expectNothingLeft();
});

test("a container that the engine reports dead fails the creation at once, with its last lines", async () => {
  void platform.handleEngineEvents(platform.stopping);
  const { id, creation } = await createSick();
  const container = `${INSTANCE}-${id}-app`;
  platform.engine.writeLog(container, "stderr", "out of luck");
  const started = performance.now();
  platform.engine.exit(container, 3);
  await expect(creation).rejects.toMatchObject({
    code: "container_exited",
    message: expect.stringMatching(/code 3[^]*out of luck/),
  });
  expect(performance.now() - started).toBeLessThan(platform.settings.createTimeout * 1000);
  await expectNothingLeft();
});

test.each([126, 127])("exit code %d says that the command cannot be run", async (code) => {
  const { id, creation } = await createSick();
  platform.engine.exit(`${INSTANCE}-${id}-app`, code);
  await expect(creation).rejects.toMatchObject({ code: "image_not_runnable" });
});

test("one that never becomes healthy is kept, degraded", async () => {
  platform.settings.createTimeout = 0.2;
  const { id, creation } = await createSick();
  expect(await creation).toMatchObject({ id, status: "degraded" });
});

test("a creation under way is finished while the platform stops", async () => {
  const check = platform.probe.check.bind(platform.probe);
  let healthy = false;
  platform.probe.check = async (target) =>
    healthy ? check(target) : { status: 500, ok: false, latency_ms: 1, fault: "environment" };
  const creation = platform.make({});
  await waitUntil("the creation", () => platform.environments.all().length === 1);
  platform.stop.abort();
  healthy = true;
  expect(await creation).toMatchObject({ status: "running" });
});

test("a creation counts against the quota while its image is being pulled", async () => {
  platform.settings.quota.environmentsPerOwner = 1;
  const pulled = Promise.withResolvers<void>();
  const { ensure } = platform.engine.images;
  platform.engine.images.ensure = async (...args) => {
    await pulled.promise;
    return ensure(...args);
  };
  const first = platform.make({}, { owner: "ann" });
  await expect(platform.make({}, { owner: "ann" })).rejects.toMatchObject({ code: "quota_exceeded" });
  pulled.resolve();
  expect((await first).owner).toBe("ann");
});
