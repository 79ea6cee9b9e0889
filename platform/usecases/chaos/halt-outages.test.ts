import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { haltOutages } from "./halt-outages.ts";
import { injectOutage } from "./inject-outage.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const stateOf = async (id: string) => (await context.engine.containers.inspect(`${INSTANCE}-${id}-app`))?.state;

test("every running outage ends, and what is well is left alone", async () => {
  const [paused, crashed] = [await createEnvironment(context, {}), await createEnvironment(context, {})];
  await createEnvironment(context, { name: "well" });
  await injectOutage(context, paused.id, { mode: "pause" });
  await injectOutage(context, crashed.id, { mode: "crash", duration: 600 });
  const { recovered, failed } = await haltOutages(context);
  expect(new Set(recovered)).toEqual(new Set([paused.id, crashed.id]));
  expect(failed).toEqual([]);
  expect([await stateOf(paused.id), await stateOf(crashed.id)]).toEqual(["running", "running"]);
  expect(context.environments.all().map(({ outage }) => outage)).toEqual([null, null, null]);
});

test("one that cannot be ended is told and keeps no other from ending", async () => {
  const [stuck, other] = [await createEnvironment(context, {}), await createEnvironment(context, {})];
  await injectOutage(context, stuck.id, { mode: "pause" });
  await injectOutage(context, other.id, { mode: "crash" });
  context.engine.failNext("containers.unpause", new PlatformError("engine_failed", "Cannot unpause: no"));
  expect(await haltOutages(context)).toEqual({
    recovered: [other.id],
    failed: [{ id: stuck.id, code: "engine_failed", detail: "Cannot unpause: no" }],
  });
  expect(context.environments.get(stuck.id)?.outage).toMatchObject({ mode: "pause" });
});

test("one that is half destroyed has no outage to end", async () => {
  const record = await createEnvironment(context, {});
  const outage = { mode: "pause", service: "app", started_at: record.created_at, ends_at: null } as const;
  await context.environments.save({ ...record, status: "destroying", outage });
  expect(await haltOutages(context)).toEqual({ recovered: [], failed: [] });
});
