import { expect, test } from "vitest";
import {
  containerOf,
  expectNothingLeft,
  useFakePlatform,
  type FakePlatform,
} from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
  platform.settings.createTimeout = 600;
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
    const facts = record && (await platform.engine.containers.inspect(containerOf(record.id)));
    return facts?.state === "running" ? record : null;
  });
  return { id, creation };
}

test("create saves the state file before it makes the first Docker object", async () => {
  const create = platform.engine.networks.create.bind(platform.engine.networks);
  let records = -1;
  platform.engine.networks.create = (spec) => {
    records = platform.environments.all().length;
    return create(spec);
  };
  await platform.make({});
  expect(records).toBe(1);
});

test("a destroy cuts a creation short: both callers are answered and nothing is left", async () => {
  const { id, creation } = await createSick();
  expect(await platform.destroy(id)).toEqual({ id, status: "destroyed", archived_logs: null });
  await expect(creation).rejects.toMatchObject({ code: "conflict" });
  await expectNothingLeft(platform);
});

test("create fails when the engine reports the end of the container, and quotes its last lines", async () => {
  void platform.handleEngineEvents(platform.stopping);
  const { id, creation } = await createSick();
  platform.engine.writeLog(containerOf(id), "stderr", "out of luck");
  platform.engine.exit(containerOf(id), 3);
  await expect(creation).rejects.toMatchObject({
    code: "container_exited",
    message: expect.stringMatching(/code 3[^]*out of luck/),
  });
  await expectNothingLeft(platform);
});

test.each([126, 127])("create answers image_not_runnable when the container exits with code %d", async (code) => {
  void platform.handleEngineEvents(platform.stopping);
  const { id, creation } = await createSick();
  platform.engine.exit(containerOf(id), code);
  await expect(creation).rejects.toMatchObject({ code: "image_not_runnable" });
});

test("an environment that does not become healthy in time is kept as degraded", async () => {
  platform.settings.createTimeout = 0.2;
  const { id, creation } = await createSick();
  expect(await creation).toMatchObject({ id, status: "degraded" });
});

test("a creation in progress is finished when the platform is told to stop", async () => {
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
