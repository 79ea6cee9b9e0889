import { expect, test } from "vitest";
import type { Probe } from "../../probes/probe.ts";
import { holdLock, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { aRecord } from "../../test/support/record.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createHealthChecks } from "./health-checks.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

/** The platform's health checks, whose quick probes follow each other without a pause. */
const quickChecks = () => createHealthChecks({ ...platform, quickProbeGapMs: 20 });
const statusOf = (id: string) => platform.environments.get(id)?.status;

test("three failed checks degrade an environment, and the next good one restores it", async () => {
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

test("failures of the edge proxy never count against an environment, and are in its health log", async () => {
  const { id } = await platform.make({});
  platform.probe.setDown(true);
  for (let sweep = 0; sweep < 5; sweep++) await platform.health.checkAll();
  expect(statusOf(id)).toBe("running");
  expect((await platform.logs.readHealth(id, 10)).filter(({ ok }) => !ok)).toHaveLength(5);
});

test("an environment that hangs delays no other check of the sweep", async () => {
  const [slow, quick] = [await platform.make({}), await platform.make({})];
  platform.settings.healthTimeout = 600;
  platform.probe.set(`${slow.id}.localhost`, "hangs");
  const checksOf = async (id: string) => (await platform.logs.readHealth(id, 100)).length;
  const sweep = platform.health.checkAll();
  await waitUntil("the other check, beside the one from the creation", async () => (await checksOf(quick.id)) === 2);
  expect(await checksOf(slow.id)).toBe(1);
  platform.stop.abort();
  await sweep;
});

test("a sweep does not wait for a locked environment, and the first sweep afterwards judges it", async () => {
  const [busy, other] = [await platform.make({}), await platform.make({})];
  const release = holdLock(platform, busy.id);
  for (const { id } of [busy, other]) platform.probe.set(`${id}.localhost`, { status: 500 });
  for (let sweep = 0; sweep < 3; sweep++) await platform.health.checkAll();
  expect([statusOf(busy.id), statusOf(other.id)]).toEqual(["running", "degraded"]);
  await release();
  await platform.health.checkAll();
  expect(statusOf(busy.id)).toBe("degraded");
});

/** A degraded environment that is locked until `release`, and whose probes succeed from now on. */
async function healthyWhileLocked(): Promise<{ id: string; release: () => Promise<void> }> {
  const { id } = await platform.make({});
  platform.probe.set(`${id}.localhost`, { status: 500 });
  for (let sweep = 0; sweep < 3; sweep++) await platform.health.checkAll();
  const release = holdLock(platform, id);
  platform.probe.set(`${id}.localhost`, { status: 200 });
  return { id, release };
}

test("an environment that became healthy while it was locked is judged by the first sweep afterwards", async () => {
  const { id, release } = await healthyWhileLocked();
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("degraded");
  await release();
  await platform.health.checkAll();
  expect(statusOf(id)).toBe("running");
});

test("a watched environment is judged as soon as its lock is free", async () => {
  const { id, release } = await healthyWhileLocked();
  const before = platform.probe.calls.length;
  quickChecks().watch(id);
  await waitUntil("the probe", () => platform.probe.calls.length > before);
  await release();
  await waitUntil("running", () => statusOf(id) === "running");
});

test("a watched environment is degraded by three failed probes", async () => {
  const { id } = await platform.make({});
  platform.probe.set(`${id}.localhost`, "unreachable");
  quickChecks().watch(id);
  await waitUntil("degraded", () => statusOf(id) === "degraded");
  const checks = await platform.logs.readHealth(id, 10);
  expect(checks.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(3);
});

test("a watched environment whose probes hang is degraded, although its last finished check was good", async () => {
  const { id } = await platform.make({});
  const health = quickChecks();
  await health.checkAll();
  // Longer than the gap between two probes.
  platform.settings.healthTimeout = 0.05;
  platform.probe.set(`${id}.localhost`, "hangs");
  health.watch(id);
  await waitUntil("it to be degraded", () => statusOf(id) === "degraded");
});

test("a watch ends after the first good probe", async () => {
  const [well, sick] = [await platform.make({}), await platform.make({})];
  platform.probe.set(`${sick.id}.localhost`, "unreachable");
  platform.probe.calls.length = 0;
  const health = quickChecks();
  for (const { id } of [well, sick]) health.watch(id);
  const probesOf = (id: string) => platform.probe.calls.filter(({ host }) => host === `${id}.localhost`).length;
  await waitUntil("the other watch to make its last probe", () => probesOf(sick.id) === 5);
  expect(probesOf(well.id)).toBe(1);
});

test("200 environments, 50 of them hanging, are all probed in one sweep", async () => {
  const records = Array.from({ length: 200 }, (_, index) => aRecord({ id: `env-many-${index}` }));
  for (const record of records) await platform.environments.save(record);
  platform.settings.healthTimeout = 0.1;
  for (const { id } of records.slice(0, 50)) platform.probe.set(`${id}.localhost`, "hangs");
  await platform.health.checkAll();
  expect(platform.probe.calls).toHaveLength(200);
});

test("the probes of a sweep begin one after another", async () => {
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
