import { expect, test } from "vitest";
import { INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createEnvironment } from "./create-environment.ts";
import { destroyEnvironment } from "./destroy-environment.ts";
import { handleEngineEvents } from "../reconcile/handle-engine-events.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
  context.settings.createTimeout = 5;
});

/** Starts a creation whose application never answers well, and returns it with its id. */
async function createSick() {
  const check = context.probe.check.bind(context.probe);
  context.probe.check = async (target) => ({
    ...(await check(target)),
    ok: false,
    status: 500,
    fault: "environment",
    error: "answered 500",
  });
  const creation = createEnvironment(context, { name: "sick" });
  creation.catch(() => {});
  const { id } = await waitUntil("the container to run", async () => {
    const record = context.environments.all()[0];
    const facts = record && (await context.engine.containers.inspect(`${INSTANCE}-${record.id}-app`));
    return facts?.state === "running" ? record : null;
  });
  return { id, creation };
}

async function expectNothingLeft() {
  const { containers, networks } = await context.engine.observe();
  expect(containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
  expect(networks.map(({ name }) => name)).toEqual([INSTANCE]);
  expect(await context.router.list()).toEqual([]);
  expect(context.environments.all()).toEqual([]);
  expect(context.subnets.usage().used).toBe(0);
}

test("the state file exists before the first Docker object", async () => {
  const create = context.engine.networks.create.bind(context.engine.networks);
  let records = -1;
  context.engine.networks.create = (spec) => {
    records = context.environments.all().length;
    return create(spec);
  };
  await createEnvironment(context, {});
  expect(records).toBe(1);
});

test("a destroy cuts a creation short: both are answered and nothing is left", async () => {
  const { id, creation } = await createSick();
  expect(await destroyEnvironment(context, id)).toEqual({ id, status: "destroyed", archived_logs: null });
  await expect(creation).rejects.toMatchObject({ code: "conflict" });
  await expectNothingLeft();
});

test("a container that the engine reports dead fails the creation at once, with its last lines", async () => {
  void handleEngineEvents(context, context.stopping);
  const { id, creation } = await createSick();
  const container = `${INSTANCE}-${id}-app`;
  context.engine.writeLog(container, "stderr", "out of luck");
  const started = performance.now();
  context.engine.exit(container, 3);
  await expect(creation).rejects.toMatchObject({
    code: "container_exited",
    message: expect.stringMatching(/code 3[^]*out of luck/),
  });
  expect(performance.now() - started).toBeLessThan(context.settings.createTimeout * 1000);
  await expectNothingLeft();
});

test.each([126, 127])("exit code %d says that the command cannot be run", async (code) => {
  const { id, creation } = await createSick();
  context.engine.exit(`${INSTANCE}-${id}-app`, code);
  await expect(creation).rejects.toMatchObject({ code: "image_not_runnable" });
});

test("one that never becomes healthy is kept, degraded", async () => {
  context.settings.createTimeout = 0.2;
  const { id, creation } = await createSick();
  expect(await creation).toMatchObject({ id, status: "degraded" });
});

test("a creation under way is finished while the platform stops", async () => {
  const check = context.probe.check.bind(context.probe);
  let healthy = false;
  context.probe.check = async (target) =>
    healthy ? check(target) : { status: 500, ok: false, latency_ms: 1, fault: "environment" };
  const creation = createEnvironment(context, {});
  await waitUntil("the creation", () => context.ongoing.creating.size === 1);
  context.stop.abort();
  healthy = true;
  expect(await creation).toMatchObject({ status: "running" });
});

test("a creation counts against the quota while its image is being pulled", async () => {
  context.settings.quota.environmentsPerOwner = 1;
  const pulled = Promise.withResolvers<void>();
  const { ensure } = context.engine.images;
  context.engine.images.ensure = async (...args) => {
    await pulled.promise;
    return ensure(...args);
  };
  const first = createEnvironment(context, {}, null, "ann");
  await expect(createEnvironment(context, {}, null, "ann")).rejects.toMatchObject({ code: "quota_exceeded" });
  pulled.resolve();
  expect((await first).owner).toBe("ann");
});
