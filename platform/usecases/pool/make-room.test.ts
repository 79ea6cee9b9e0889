import { expect, test } from "vitest";
import { INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { fillLater } from "./warm-pool.ts";
import { platformHealth } from "../health/platform-health.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const spares = () => context.ahead.spares.length;
const ready = () => context.ahead.spares.filter(({ state }) => state === "ready").map(({ record }) => record);
const containers = async () => (await context.engine.observe()).containers.map(({ name }) => name);

/** Waits until so many environments are made ahead. */
async function fill(count: number): Promise<void> {
  context.settings.warmPoolSize = count;
  fillLater(context);
  await waitUntil("the pool to be full", () => ready().length === count);
  await context.ahead.filling;
}

test("what is promised leaves no room for one made ahead that would not fit beside it, and healthz says so", async () => {
  context.settings.quota.memoryMb = 511;
  await createEnvironment(context, { name: "mine" });
  context.settings.warmPoolSize = 1;
  fillLater(context);
  await context.ahead.filling;
  expect(spares()).toBe(0);
  const { parts } = await platformHealth(context, { ok: true, detail: "" });
  expect(parts.ahead).toEqual({ ok: true, detail: expect.stringMatching(/^0 of 1 environments.*no room for more/) });
});

test.each([{ memoryMb: 512 }, { pids: 512 }, { cpus: 2 }])(
  "is there for who asks: of %j what was made ahead goes first",
  async (limit) => {
    Object.assign(context.settings.quota, limit);
    await fill(2);
    const [oldest, newest] = ready();
    const made: string[][] = [];
    const { create } = context.engine.containers;
    context.engine.containers.create = async (spec) => {
      made.push(await containers());
      return create(spec);
    };
    await createEnvironment(context, { name: "mine" });
    expect(made[0]).not.toContain(`${INSTANCE}-${oldest?.id}-app`);
    expect(made[0]).toContain(`${INSTANCE}-${newest?.id}-app`);
    await context.ahead.filling;
    expect(ready()).toEqual([newest]);
  },
);

test("what is promised is the same when one that was made ahead is given away", async () => {
  context.settings.quota.memoryMb = 512;
  await fill(2);
  const [oldest, newest] = ready();
  expect((await createEnvironment(context, {})).id).toBe(oldest?.id);
  await context.ahead.filling;
  expect(ready()).toEqual([newest]);
});

test("what is promised may have grown while one was being made: that one goes when it is", async () => {
  context.settings.quota.memoryMb = 256;
  context.settings.warmPoolSize = 1;
  const gate = Promise.withResolvers<void>();
  const { start } = context.engine.containers;
  context.engine.containers.start = (name) => gate.promise.then(() => start(name));
  fillLater(context);
  await waitUntil("one to be under way", () => spares() === 1);
  const creation = createEnvironment(context, { name: "mine" });
  await waitUntil("the creation", () => context.environments.all().length === 1);
  gate.resolve();
  await creation;
  await waitUntil("the other one to be gone", () => spares() === 0);
  expect(await containers()).toHaveLength(2);
});
