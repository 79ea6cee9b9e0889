import { expect, test } from "vitest";
import type { Probe } from "../../probes/probe.ts";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { aRecord } from "../../test/support/record.ts";
import { delay } from "../../kernel/delay.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createHealthChecks } from "./health-checks.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
});

const statusOf = (id: string) => platform.environments.get(id)?.status;

test("three failed sweeps degrade an environment, the next good one restores it", async () => {
  const { id } = await platform.make({});
  platform.probe.set(`${id}.localhost`, { status: 500 });
  await platform.health.checkAll();
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("running");
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("degraded");
  platform.probe.set(`${id}.localhost`, { status: 200 });
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("running");
});

test("the front door's failures never count against an environment, and are written down", async () => {
  const { id } = await platform.make({});
  platform.probe.setDown(true);
  for (let sweep = 0; sweep < 5; sweep++) await platform.health.checkAll();
  expect(statusOf(id)).toBe("running");
  expect((await platform.logs.readHealth(id, 10)).filter(({ ok }) => !ok)).toHaveLength(5);
});

test("one that hangs does not hold up the rest of the sweep", async () => {
  const [slow, quick] = [await platform.make({}), await platform.make({})];
  platform.probe.set(`${slow.id}.localhost`, "hangs");
  const before = (await platform.logs.readHealth(quick.id, 100)).length;
  const sweep = platform.health.checkAll();
  await waitUntil(
    "the quick one's check",
    async () => (await platform.logs.readHealth(quick.id, 100)).length > before,
    500,
    10,
  );
  expect(await platform.logs.readHealth(slow.id, 100)).toHaveLength(1); // the one from its creation
  await sweep;
});

test("one that is being worked on holds up no sweep, and is judged by the first one afterwards", async () => {
  const [busy, other] = [await platform.make({}), await platform.make({})];
  const held = Promise.withResolvers<void>();
  const work = platform.locks.run(busy.id, () => held.promise);
  for (const { id } of [busy, other]) platform.probe.set(`${id}.localhost`, { status: 500 });
  for (let sweep = 0; sweep < 3; sweep++) await platform.health.checkAll();
  expect([statusOf(busy.id), statusOf(other.id)]).toEqual(["running", "degraded"]);
  held.resolve();
  await work;
  await platform.health.checkAll();
  expect(statusOf(busy.id)).toBe("degraded");
});

/** A degraded environment that is being worked on until `release`, and whose probes succeed from now on. */
async function wellAgainWhileWorkedOn(): Promise<{ id: string; release: () => Promise<void> }> {
  const { id } = await platform.make({});
  platform.probe.set(`${id}.localhost`, { status: 500 });
  for (let sweep = 0; sweep < 3; sweep++) await platform.health.checkAll();
  const held = Promise.withResolvers<void>();
  const work = platform.locks.run(id, () => held.promise);
  platform.probe.set(`${id}.localhost`, { status: 200 });
  return { id, release: () => (held.resolve(), work) };
}

test("one that is well again while it is being worked on is judged by the first sweep afterwards", async () => {
  const { id, release } = await wellAgainWhileWorkedOn();
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("degraded");
  await release();
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("running");
});

test("a watched environment that is being worked on is judged as soon as that ends", async () => {
  const { id, release } = await wellAgainWhileWorkedOn();
  const before = platform.probe.calls.length;
  platform.health.watch(id);
  await waitUntil("the probe", () => platform.probe.calls.length > before, 3_000, 20);
  await release();
  await waitUntil("running", () => statusOf(id) === "running", 500, 10);
});

test("a watched environment is degraded within seconds, by the same three failures", async () => {
  const { id } = await platform.make({});
  platform.probe.set(`${id}.localhost`, "unreachable");
  platform.health.watch(id);
  await waitUntil("degraded", () => statusOf(id) === "degraded", 5_000, 20);
  const checks = await platform.logs.readHealth(id, 10);
  expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(3);
});

test("a watched environment whose probes hang is degraded as soon: that it was well before says nothing now", async () => {
  const { id } = await platform.make({});
  await platform.health.checkAll();
  // Longer than the gap between two probes.
  platform.settings.healthTimeout = 1.5;
  platform.probe.set(`${id}.localhost`, "hangs");
  platform.health.watch(id);
  await waitUntil("it to be degraded", () => statusOf(id) === "degraded", 8_000, 20);
});

test("a watch ends at once when the environment is well", async () => {
  const { id } = await platform.make({});
  const before = platform.probe.calls.length;
  platform.health.watch(id);
  await waitUntil("the probe", () => platform.probe.calls.length > before, 3_000, 20);
  await delay(1_500); // longer than the gap to a second probe
  expect(platform.probe.calls.length - before).toBe(1);
});

test("200 environments, 50 of them hanging, are all probed in one sweep", async () => {
  const records = Array.from({ length: 200 }, (_, index) => aRecord({ id: `env-many-${index}` }));
  for (const record of records) await platform.environments.save(record);
  for (const { id } of records.slice(0, 50)) platform.probe.set(`${id}.localhost`, "hangs");
  await platform.health.checkAll();
  expect(platform.probe.calls).toHaveLength(200);
});

test("the probes of a sweep begin one after another: all at once they wake every application at once", async () => {
  const records = Array.from({ length: 200 }, (_, index) => aRecord({ id: `env-many-${index}` }));
  for (const record of records) await platform.environments.save(record);
  const { probe } = platform;
  let [active, most] = [0, 0];
  const check: Probe["check"] = async (target) => {
    most = Math.max(most, ++active);
    return probe.check(target).finally(() => active--);
  };
  const health = createHealthChecks({ ...platform, probe: { check } });
  await health.checkAll();
  expect(probe.calls).toHaveLength(200);
  expect(most).toBeLessThan(100);
});
