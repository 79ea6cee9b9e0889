import { expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { observeActual } from "./observe-environment.ts";
import { reconcile } from "./reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

/** A running environment whose state file is in quarantine, as after a start that could not read it. */
async function quarantine(): Promise<EnvironmentRecord> {
  const record = await createEnvironment(context, {});
  await context.logs.append(record.id, [{ timestamp: "2030", service: "app", stream: "stdout", text: "said" }]);
  await context.shippers.stop(record.id);
  await context.environments.remove(record.id);
  context.subnets.free({ base: 0, prefix: 28 });
  context.environments.quarantine.push({ id: record.id, since: context.clock.now() });
  return record;
}

async function partsOf(id: string): Promise<string[]> {
  const { engine, routes } = await observeActual(context);
  const own = ({ labels }: { labels: Record<string, string> }) => labels["sandbox.env"] === id;
  const objects = [...engine.containers.filter(own), ...engine.networks.filter(own)].map(({ name }) => name);
  const logs = (await context.logs.list()).filter((logged) => logged === id);
  return [...objects, ...(routes.has(id) ? ["route"] : []), ...logs];
}

const pass = () => reconcile(context, { startup: true });

test("an environment whose state file is in quarantine keeps all that belongs to it, and is reported once", async () => {
  const { id } = await quarantine();
  const parts = await partsOf(id);
  expect(parts).toEqual([`${INSTANCE}-${id}-app`, `${INSTANCE}-${id}`, "route", id]);
  for (let round = 0; round < 3; round++) expect((await pass()).orphans).toEqual([]);
  expect(await partsOf(id)).toEqual(parts);
  const reports = context.events.emitted.filter(({ type }) => type === "drift.unrepaired");
  expect(reports).toMatchObject([{ env_id: id, data: { containers: [`${INSTANCE}-${id}-app`] } }]);
});

test("an environment in quarantine counts against the quotas, as one of the default size, until it is given up", async () => {
  const { id } = await quarantine();
  await pass();
  const { quota } = context.settings;
  for (const limit of [{ environments: 1 }, { memoryMb: 511 }, { pids: 511 }]) {
    context.settings.quota = { ...quota, ...limit };
    await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "capacity_exhausted" });
  }
  context.environments.quarantine.length = 0;
  await pass();
  expect(await partsOf(id)).toEqual([]);
  expect((await createEnvironment(context, {})).status).toBe("running");
});

test("the subnet of an environment in quarantine is not handed out, and is free again afterwards", async () => {
  const record = await quarantine();
  await pass();
  const used = context.subnets.usage().used;
  const other = await createEnvironment(context, {});
  expect(other.network.subnet).not.toBe(record.network.subnet);
  context.environments.quarantine.length = 0;
  await pass();
  expect(context.subnets.usage().used).toBe(used);
});

test("an environment is an orphan once its file is deleted from the quarantine", async () => {
  const { id } = await quarantine();
  await pass();
  context.environments.quarantine.length = 0;
  expect((await pass()).orphans).toHaveLength(4);
  expect(await partsOf(id)).toEqual([]);
});

test("an environment in quarantine is an orphan once MAX_TTL has passed since then", async () => {
  const { id } = await quarantine();
  context.clock.advance(context.settings.maxTtl * 1000 - 1);
  await pass();
  expect(await partsOf(id)).toHaveLength(4);
  context.clock.advance(1);
  await pass();
  expect(await partsOf(id)).toEqual([]);
});

test("no environment is an orphan while the quarantine cannot be read", async () => {
  const { id } = await quarantine();
  context.environments.quarantined = () => Promise.reject(new Error("EIO"));
  expect(await pass()).toMatchObject({ orphans: [], failed: ["remove orphans"] });
  expect(await partsOf(id)).toHaveLength(4);
});
