import { expect, test } from "vitest";
import type { EnvironmentRecord } from "../domain/environment-record.ts";
import { INSTANCE, useFakeContext, type FakeContext } from "../test/support/fake-context.ts";
import { createEnvironment } from "./create-environment.ts";
import { observeWorld } from "./observe-environment.ts";
import { reconcile } from "./reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

/** A running environment whose state file is set aside, as after a start that could not read it. */
async function setAside(): Promise<EnvironmentRecord> {
  const record = await createEnvironment(context, {});
  await context.logs.append(record.id, [{ timestamp: "2030", service: "app", stream: "stdout", text: "said" }]);
  await context.shippers.stop(record.id);
  await context.environments.remove(record.id);
  context.subnets.free({ base: 0, prefix: 28 });
  context.environments.heldBack.push({ id: record.id, since: context.clock.now() });
  return record;
}

async function partsOf(id: string): Promise<string[]> {
  const { engine, routes } = await observeWorld(context);
  const own = ({ labels }: { labels: Record<string, string> }) => labels["sandbox.env"] === id;
  const objects = [...engine.containers.filter(own), ...engine.networks.filter(own)].map(({ name }) => name);
  return [...objects, ...(routes.has(id) ? ["route"] : []), ...(await context.logs.list())];
}

const pass = () => reconcile(context, { startup: true });

test("what belongs to an environment whose state file is set aside stays, and is reported once", async () => {
  const { id } = await setAside();
  const parts = await partsOf(id);
  expect(parts).toEqual([`${INSTANCE}-${id}-app`, `${INSTANCE}-${id}`, "route", id]);
  for (let round = 0; round < 3; round++) expect((await pass()).orphans).toEqual([]);
  expect(await partsOf(id)).toEqual(parts);
  const reports = context.events.emitted.filter(({ type }) => type === "drift.unrepaired");
  expect(reports).toMatchObject([{ env_id: id, data: { containers: [`${INSTANCE}-${id}-app`] } }]);
});

test("its subnet is given to nobody else while it is held back, and is free again afterwards", async () => {
  const record = await setAside();
  await pass();
  const used = context.subnets.usage().used;
  const other = await createEnvironment(context, {});
  expect(other.network.subnet).not.toBe(record.network.subnet);
  context.environments.heldBack.length = 0;
  await pass();
  expect(context.subnets.usage().used).toBe(used);
});

test("once its file is gone it is an orphan", async () => {
  const { id } = await setAside();
  await pass();
  context.environments.heldBack.length = 0;
  expect((await pass()).orphans).toHaveLength(4);
  expect(await partsOf(id)).toEqual([]);
});

test("it is not held back for longer than any lifetime could last", async () => {
  const { id } = await setAside();
  context.clock.advance(context.settings.maxTtl * 1000 - 1);
  await pass();
  expect(await partsOf(id)).toHaveLength(4);
  context.clock.advance(1);
  await pass();
  expect(await partsOf(id)).toEqual([]);
});

test("while the disk cannot tell what is set aside, nothing is taken for an orphan", async () => {
  const { id } = await setAside();
  context.environments.setAside = () => Promise.reject(new Error("EIO"));
  await expect(pass()).rejects.toThrow("EIO");
  expect(await partsOf(id)).toHaveLength(4);
});
