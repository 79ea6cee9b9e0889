import { expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { containerOf, INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

/** A running environment whose state file is in quarantine, as after a start that could not read it. */
async function quarantine(): Promise<EnvironmentRecord> {
  const record = await platform.make({});
  await platform.logs.append(record.id, [{ timestamp: "2030", service: "app", stream: "stdout", text: "said" }]);
  await platform.shippers.stop(record.id);
  await platform.environments.remove(record.id);
  platform.environments.quarantine.push({ id: record.id, since: platform.clock.now() });
  return record;
}

async function partsOf(id: string): Promise<string[]> {
  const { containers, networks } = await platform.engine.observe();
  const own = ({ labels }: { labels: Record<string, string> }) => labels["sandbox.env"] === id;
  const objects = [...containers.filter(own), ...networks.filter(own)].map(({ name }) => name);
  const routes = new Set((await platform.router.list()).map((route) => route.id));
  const logs = (await platform.logs.list()).filter((logged) => logged === id);
  return [...objects, ...(routes.has(id) ? ["route"] : []), ...logs];
}

const pass = () => platform.reconcile({ startup: true });

test("an environment whose state file is in quarantine keeps all that belongs to it, and is reported once", async () => {
  const { id } = await quarantine();
  const parts = await partsOf(id);
  expect(parts).toEqual([containerOf(id), `${INSTANCE}-${id}`, "route", id]);
  for (let round = 0; round < 3; round++) expect((await pass()).orphans).toEqual([]);
  expect(await partsOf(id)).toEqual(parts);
  const reports = platform.events.emitted.filter(({ type }) => type === "drift.unrepaired");
  expect(reports).toMatchObject([{ env_id: id, data: { containers: [containerOf(id)] } }]);
});

test("an environment in quarantine counts against the quotas, as one of the default size, until it is given up", async () => {
  const { id } = await quarantine();
  await pass();
  const { quota } = platform.settings;
  for (const limit of [{ environments: 1 }, { memoryMb: 511 }, { pids: 511 }]) {
    platform.settings.quota = { ...quota, ...limit };
    await expect(platform.make({})).rejects.toMatchObject({ code: "capacity_exhausted" });
  }
  platform.environments.quarantine.length = 0;
  await pass();
  expect(await partsOf(id)).toEqual([]);
  expect((await platform.make({})).status).toBe("running");
});

test("the network of an environment in quarantine is reserved, and is free again afterwards", async () => {
  await quarantine();
  await pass();
  expect(platform.workloads.capacity()).toEqual({ environments: 3 });
  platform.environments.quarantine.length = 0;
  await pass();
  expect(platform.workloads.capacity()).toEqual({ environments: 4 });
});

test("an environment is an orphan once its file is deleted from the quarantine", async () => {
  const { id } = await quarantine();
  await pass();
  platform.environments.quarantine.length = 0;
  expect((await pass()).orphans).toHaveLength(4);
  expect(await partsOf(id)).toEqual([]);
});

test("an environment in quarantine is an orphan once MAX_TTL has passed since then", async () => {
  const { id } = await quarantine();
  platform.clock.advance(platform.settings.maxTtl * 1000 - 1);
  await pass();
  expect(await partsOf(id)).toHaveLength(4);
  platform.clock.advance(1);
  await pass();
  expect(await partsOf(id)).toEqual([]);
});

test("no environment is an orphan while the quarantine cannot be read", async () => {
  const { id } = await quarantine();
  platform.environments.quarantined = () => Promise.reject(new Error("EIO"));
  expect(await pass()).toMatchObject({ orphans: [], failed: ["remove orphans"] });
  expect(await partsOf(id)).toHaveLength(4);
});
