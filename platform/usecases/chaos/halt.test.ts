import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { containerOf, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const stateOf = async (id: string) => (await platform.engine.containers.inspect(containerOf(id)))?.state;

test("halt ends every outage and leaves the other environments alone", async () => {
  const [paused, crashed] = [await platform.make({}), await platform.make({})];
  await platform.make({ name: "well" });
  await platform.injectOutage(paused.id, { mode: "pause" });
  await platform.injectOutage(crashed.id, { mode: "crash", duration: 600 });
  const { recovered, failed } = await platform.halt();
  expect(new Set(recovered)).toEqual(new Set([paused.id, crashed.id]));
  expect(failed).toEqual([]);
  expect([await stateOf(paused.id), await stateOf(crashed.id)]).toEqual(["running", "running"]);
  expect(platform.environments.all().map(({ outage }) => outage)).toEqual([null, null, null]);
});

test("halt reports an outage that cannot be ended and ends the others", async () => {
  const [stuck, other] = [await platform.make({}), await platform.make({})];
  await platform.injectOutage(stuck.id, { mode: "pause" });
  await platform.injectOutage(other.id, { mode: "crash" });
  platform.engine.failNext("containers.unpause", new PlatformError("engine_failed", "Cannot unpause: no"));
  expect(await platform.halt()).toEqual({
    recovered: [other.id],
    failed: [{ id: stuck.id, code: "engine_failed", detail: "Cannot unpause: no" }],
  });
  expect(platform.environments.get(stuck.id)?.outage).toMatchObject({ mode: "pause" });
});

test("halt leaves out an environment that is being destroyed", async () => {
  const record = await platform.make({});
  const outage = { mode: "pause", service: "app", started_at: record.created_at, ends_at: null } as const;
  await platform.environments.save({ ...record, status: "destroying", outage });
  expect(await platform.halt()).toEqual({ recovered: [], failed: [] });
});
