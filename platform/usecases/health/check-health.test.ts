import { expect, test } from "vitest";
import type { Probe } from "../../probes/probe.ts";
import { useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { aRecord } from "../../test/support/record.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { checkAllHealth, watchHealth } from "./check-health.ts";
import { createEnvironment } from "../environments/create-environment.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const statusOf = (id: string) => context.environments.get(id)?.status;

test("three failed sweeps degrade an environment, the next good one restores it", async () => {
  const { id } = await createEnvironment(context, {});
  context.probe.set(`${id}.localhost`, { status: 500 });
  await checkAllHealth(context);
  await checkAllHealth(context);
  expect(statusOf(id)).toBe("running");
  await checkAllHealth(context);
  expect(statusOf(id)).toBe("degraded");
  context.probe.set(`${id}.localhost`, { status: 200 });
  await checkAllHealth(context);
  expect(statusOf(id)).toBe("running");
});

test("the front door's failures never count against an environment, and are written down", async () => {
  const { id } = await createEnvironment(context, {});
  context.probe.setDown(true);
  for (let sweep = 0; sweep < 5; sweep++) await checkAllHealth(context);
  expect(statusOf(id)).toBe("running");
  expect((await context.logs.readHealth(id, 10)).filter(({ ok }) => !ok)).toHaveLength(5);
});

test("one that hangs does not hold up the rest of the sweep", async () => {
  const [slow, quick] = [await createEnvironment(context, {}), await createEnvironment(context, {})];
  context.probe.set(`${slow.id}.localhost`, "hangs");
  const before = (await context.logs.readHealth(quick.id, 100)).length;
  const sweep = checkAllHealth(context);
  await waitUntil(
    "the quick one's check",
    async () => (await context.logs.readHealth(quick.id, 100)).length > before,
    500,
    10,
  );
  expect(await context.logs.readHealth(slow.id, 100)).toHaveLength(1); // the one from its creation
  await sweep;
});

test("one that is being worked on holds up no sweep, and is judged by the first one afterwards", async () => {
  const [busy, other] = [await createEnvironment(context, {}), await createEnvironment(context, {})];
  const held = Promise.withResolvers<void>();
  const work = context.locks.run(busy.id, () => held.promise);
  for (const { id } of [busy, other]) context.probe.set(`${id}.localhost`, { status: 500 });
  for (let sweep = 0; sweep < 3; sweep++) await checkAllHealth(context);
  expect([statusOf(busy.id), statusOf(other.id)]).toEqual(["running", "degraded"]);
  expect(context.failures.get(busy.id)).toBe(3);
  held.resolve();
  await work;
  await checkAllHealth(context);
  expect(statusOf(busy.id)).toBe("degraded");
});

/** A degraded environment that is being worked on until `release`, and whose probes succeed from now on. */
async function wellAgainWhileWorkedOn(): Promise<{ id: string; release: () => Promise<void> }> {
  const { id } = await createEnvironment(context, {});
  context.probe.set(`${id}.localhost`, { status: 500 });
  for (let sweep = 0; sweep < 3; sweep++) await checkAllHealth(context);
  const held = Promise.withResolvers<void>();
  const work = context.locks.run(id, () => held.promise);
  context.probe.set(`${id}.localhost`, { status: 200 });
  return { id, release: () => (held.resolve(), work) };
}

test("one that is well again while it is being worked on is judged by the first sweep afterwards", async () => {
  const { id, release } = await wellAgainWhileWorkedOn();
  await checkAllHealth(context);
  expect([statusOf(id), context.failures.get(id)]).toEqual(["degraded", 0]);
  await release();
  await checkAllHealth(context);
  expect(statusOf(id)).toBe("running");
});

test("a watched environment that is being worked on is judged as soon as that ends", async () => {
  const { id, release } = await wellAgainWhileWorkedOn();
  watchHealth(context, id);
  await waitUntil("the probe", () => context.failures.get(id) === 0, 3_000, 20);
  context.watches.get(id)?.abort(); // no further probe will tell
  await release();
  await waitUntil("running", () => statusOf(id) === "running", 500, 10);
});

test("a watched environment is degraded within seconds, by the same three failures", async () => {
  const { id } = await createEnvironment(context, {});
  context.probe.set(`${id}.localhost`, "unreachable");
  watchHealth(context, id);
  await waitUntil("degraded", () => statusOf(id) === "degraded", 5_000, 20);
  const checks = await context.logs.readHealth(id, 10);
  expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(3);
});

test("a watched environment whose probes hang is degraded as soon: that it was well before says nothing now", async () => {
  const { id } = await createEnvironment(context, {});
  await checkAllHealth(context);
  // Longer than the gap between two probes.
  context.settings.healthTimeout = 1.5;
  context.probe.set(`${id}.localhost`, "hangs");
  watchHealth(context, id);
  await waitUntil("it to be degraded", () => statusOf(id) === "degraded", 8_000, 20);
});

test("a watch ends at once when the environment is well", async () => {
  const { id } = await createEnvironment(context, {});
  const before = context.probe.calls.length;
  watchHealth(context, id);
  await waitUntil("the watch to end", () => !context.watches.has(id), 3_000, 20);
  expect(context.probe.calls.length - before).toBe(1);
});

test("200 environments, 50 of them hanging, are swept in little more than one probe's limit", async () => {
  const records = Array.from({ length: 200 }, (_, index) => aRecord({ id: `env-many-${index}` }));
  for (const record of records) await context.environments.save(record);
  for (const { id } of records.slice(0, 50)) context.probe.set(`${id}.localhost`, "hangs");
  const started = performance.now();
  await checkAllHealth(context);
  expect(performance.now() - started).toBeLessThan(context.settings.healthTimeout * 1000 * 3);
  expect(context.probe.calls).toHaveLength(200);
});

test("the probes of a sweep begin one after another: all at once they wake every application at once", async () => {
  const records = Array.from({ length: 200 }, (_, index) => aRecord({ id: `env-many-${index}` }));
  for (const record of records) await context.environments.save(record);
  const { probe } = context;
  let [active, most] = [0, 0];
  const check: Probe["check"] = async (target) => {
    most = Math.max(most, ++active);
    return probe.check(target).finally(() => active--);
  };
  await checkAllHealth({ ...context, probe: { check } });
  expect(probe.calls).toHaveLength(200);
  expect(most).toBeLessThan(100);
});
