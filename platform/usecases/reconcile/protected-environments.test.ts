import { describe, expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { observeActual } from "./observe-environment.ts";
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
  const { engine, routes } = await observeActual(context);
  const own = ({ labels }: { labels: Record<string, string> }) => labels["sandbox.env"] === id;
  const objects = [...engine.containers.filter(own), ...engine.networks.filter(own)].map(({ name }) => name);
  const logs = (await context.logs.list()).filter((logged) => logged === id);
  return [...objects, ...(routes.has(id) ? ["route"] : []), ...logs];
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

test("it counts against the quotas, as one of the default size, until it is given up", async () => {
  const { id } = await setAside();
  await pass();
  const { quota } = context.settings;
  for (const limit of [{ environments: 1 }, { memoryMb: 511 }, { pids: 511 }]) {
    context.settings.quota = { ...quota, ...limit };
    await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "capacity_exhausted" });
  }
  context.environments.heldBack.length = 0;
  await pass();
  expect(await partsOf(id)).toEqual([]);
  expect((await createEnvironment(context, {})).status).toBe("running");
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
  expect(await pass()).toMatchObject({ orphans: [], failed: ["remove orphans"] });
  expect(await partsOf(id)).toHaveLength(4);
});

describe("state files that are lost", () => {
  /** A running environment of which the platform knows nothing any more. */
  async function forgotten(): Promise<string> {
    const { id } = await createEnvironment(context, {});
    await context.logs.append(id, [{ timestamp: "2030", service: "app", stream: "stdout", text: "said" }]);
    await context.shippers.stop(id);
    await context.environments.remove(id);
    return id;
  }

  /** What a killed platform leaves of one that was made ahead. */
  async function spare(): Promise<string> {
    const { id } = await createEnvironment(context, {});
    await context.shippers.stop(id);
    await context.router.remove(id);
    await context.router.upsert({ id, host: `${id}.localhost`, address: "10.172.0.19", port: 3000 });
    await context.logs.discard(id);
    await context.environments.remove(id);
    return id;
  }

  const unrepaired = () => context.events.emitted.filter(({ type }) => type === "drift.unrepaired");

  test.each(["folder", "files"] as const)(
    "with the %s destroy nothing of what runs, until MAX_TTL has passed",
    async (what) => {
      const ids = [await forgotten(), await forgotten()];
      const parts = await Promise.all(ids.map(partsOf));
      context.environments.doubts(what);
      for (let round = 0; round < 2; round++) expect((await pass()).orphans).toEqual([]);
      expect(await Promise.all(ids.map(partsOf))).toEqual(parts);
      expect(unrepaired()[0]).toMatchObject({
        env_id: null,
        data: { environments: ids, reason: expect.stringMatching(/Restore the folder .* restart .* `make down`/) },
      });
      expect(
        unrepaired()
          .slice(1)
          .map(({ env_id }) => env_id),
      ).toEqual(ids);
      context.clock.advance(context.settings.maxTtl * 1000);
      await pass();
      expect(await Promise.all(ids.map(partsOf))).toEqual([[], []]);
    },
  );

  test("keep their subnets from everybody else", async () => {
    const record = await createEnvironment(context, {});
    await context.environments.remove(record.id);
    context.subnets.free({ base: 0, prefix: 28 });
    context.environments.doubts("folder");
    await pass();
    expect((await createEnvironment(context, {})).network.subnet).not.toBe(record.network.subnet);
  });

  test.each(["folder", "files"] as const)("with the %s do not keep what was made ahead", async (what) => {
    const [id, ahead] = [await forgotten(), await spare()];
    context.environments.doubts(what);
    await pass();
    expect(await partsOf(id)).toHaveLength(4);
    expect(await partsOf(ahead)).toEqual([]);
    expect(unrepaired()[0]).toMatchObject({ data: { environments: [id] } });
  });

  test.each(["logs", "route"] as const)("of one that only its %s tell of are held back", async (sign) => {
    const [id, ahead] = [await forgotten(), await spare()];
    if (sign === "route") await context.logs.discard(id);
    else await context.router.remove(id);
    const parts = await partsOf(id);
    context.environments.doubts("files");
    await pass();
    expect(await partsOf(id)).toEqual(parts);
    expect(await partsOf(ahead)).toEqual([]);
  });

  test("do not keep what was made ahead where nothing else is there", async () => {
    const ahead = await spare();
    context.environments.doubts("folder");
    await pass();
    expect(await partsOf(ahead)).toEqual([]);
    expect(unrepaired()).toEqual([]);
  });

  test("with logs and routes, on one disk that is not there, destroy nothing either", async () => {
    const id = await forgotten();
    await context.router.remove(id);
    await context.logs.discard(id);
    context.environments.doubts("folder");
    await pass();
    expect(await partsOf(id)).toEqual([`${INSTANCE}-${id}-app`, `${INSTANCE}-${id}`]);
  });

  test("are not those of one that was created meanwhile", async () => {
    const { id } = await createEnvironment(context, {});
    context.environments.doubts("folder");
    await pass();
    expect(context.environments.heldBack).toEqual([]);
    expect(await partsOf(id)).toHaveLength(4);
  });

  test("do not keep longer what was set aside before", async () => {
    const { id } = await setAside();
    context.clock.advance(context.settings.maxTtl * 500);
    context.environments.doubts("files");
    await pass();
    expect(await partsOf(id)).toHaveLength(4);
    context.clock.advance(context.settings.maxTtl * 500);
    await pass();
    expect(await partsOf(id)).toEqual([]);
  });

  test("that cannot be written down as lost destroy nothing", async () => {
    const id = await forgotten();
    context.environments.doubts("folder");
    context.environments.failNextWrites();
    expect(await pass()).toMatchObject({ orphans: [], failed: ["remove orphans"] });
    expect(await partsOf(id)).toHaveLength(4);
  });

  test("are none where some are left: what has none is an orphan", async () => {
    const [id, ...others] = [await forgotten(), (await createEnvironment(context, {})).id];
    expect(context.environments.doubt()).toBeNull();
    await pass();
    expect(await partsOf(id)).toEqual([]);
    expect(await partsOf(others[0] ?? "")).toHaveLength(4);
  });
});
