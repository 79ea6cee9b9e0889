import { expect, test } from "vitest";
import { containerOf, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { fillPools } from "../../test/support/fill-pools.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const containers = async () => (await platform.engine.observe()).containers.map(({ name }) => name);

test("no warm environment is made when the committed resources leave no room, and healthz says so", async () => {
  platform.settings.quota.memoryMb = 511;
  await platform.make({ name: "mine" });
  platform.settings.warmPoolSize = 1;
  platform.pool.refill();
  await platform.pool.whenIdle();
  expect(platform.pool.ids()).toEqual([]);
  const { parts } = await platform.readPlatformHealth({ ok: true, detail: "" });
  expect(parts.warm_pool).toEqual({
    ok: true,
    detail: expect.stringMatching(/^0 of 1 environments.*no room for more/),
  });
});

test.each([{ memoryMb: 512 }, { pids: 512 }, { cpus: 2 }])(
  "a create evicts the oldest warm environment first where the limit is %j",
  async (limit) => {
    Object.assign(platform.settings.quota, limit);
    await fillPools(platform, { warm: 2 });
    const [oldest = "", newest = ""] = platform.pool.ready();
    const seen: string[][] = [];
    const { create } = platform.engine.containers;
    platform.engine.containers.create = async (spec) => {
      seen.push(await containers());
      return create(spec);
    };
    await platform.make({ name: "mine" });
    expect(seen[0]).not.toContain(containerOf(oldest));
    expect(seen[0]).toContain(containerOf(newest));
    await platform.pool.whenIdle();
    expect(platform.pool.ready()).toEqual([newest]);
  },
);

test("acquiring a warm environment evicts none: as much is committed as before", async () => {
  platform.settings.quota.memoryMb = 512;
  await fillPools(platform, { warm: 2 });
  const [oldest, newest] = platform.pool.ready();
  expect((await platform.make()).id).toBe(oldest);
  await platform.pool.whenIdle();
  expect(platform.pool.ready()).toEqual([newest]);
});

test("a warm environment is evicted when it is ready, if more was committed while it was made", async () => {
  platform.settings.quota.memoryMb = 256;
  platform.settings.warmPoolSize = 1;
  const gate = Promise.withResolvers<void>();
  const { start } = platform.engine.containers;
  platform.engine.containers.start = (name) => gate.promise.then(() => start(name));
  platform.pool.refill();
  await waitUntil("one to be in the making", () => platform.pool.ids().length === 1);
  const creation = platform.make({ name: "mine" });
  await waitUntil("the creation", () => platform.environments.all().length === 1);
  gate.resolve();
  await creation;
  await waitUntil("the other one to be gone", () => platform.pool.ids().length === 0);
  expect(await containers()).toHaveLength(2);
});
