import { describe, expect, test, vi } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { containerOf, holdLock, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const isOver = (id: string) => platform.environments.get(id)?.outage === null;

/** A paused environment; its outage ends after so many seconds. */
async function paused(duration: number): Promise<string> {
  const { id } = await platform.make({});
  await platform.injectOutage(id, { mode: "pause", duration });
  return id;
}

/** Lets seconds pass, looking at each of them as the loop does; returns in which of them something was tried. */
async function triedWithin(seconds: number): Promise<number[]> {
  const tried: number[] = [];
  const attempts = () => platform.engine.calls.filter(({ method }) => method === "containers.unpause").length;
  for (let second = 1; second <= seconds; second++) {
    const before = attempts();
    platform.clock.advance(1_000);
    await platform.endOutages();
    if (attempts() > before) tried.push(second);
  }
  return tried;
}

describe("an outage that cannot be ended", () => {
  const failUnpause = (times: number) =>
    platform.engine.failNext("containers.unpause", new PlatformError("engine_failed", "Cannot unpause: no"), times);

  test("is tried again after pauses that double up to a minute", async () => {
    await paused(1);
    failUnpause(1_000);
    expect(await triedWithin(250)).toEqual([1, 2, 4, 8, 16, 32, 64, 124, 184, 244]);
  });

  test("is audited when it first fails and when it succeeds, and is one error in the log", async () => {
    const error = vi.spyOn(platform.logger, "error");
    const id = await paused(1);
    failUnpause(3);
    await triedWithin(60);
    expect(isOver(id)).toBe(true);
    expect(platform.audit.entries.map(({ what, env_id, result }) => [what, env_id, result])).toEqual([
      ["recover", id, "failed: Cannot unpause: no"],
      ["recover", id, "ok"],
    ]);
    expect(error).toHaveBeenCalledTimes(1);
  });

  test("delays neither another environment's outage nor the next one of its own", async () => {
    const [stuck, other] = [await paused(1), await paused(20)];
    failUnpause(5);
    await triedWithin(20);
    expect([isOver(stuck), isOver(other)]).toEqual([false, true]);
    await platform.recover(stuck);
    await platform.injectOutage(stuck, { mode: "pause", duration: 1 });
    expect(await triedWithin(2)).toEqual([1]);
    expect(isOver(stuck)).toBe(true);
  });

  test("is audited once although its second failure takes long", async () => {
    const id = await paused(1);
    failUnpause(1);
    await triedWithin(1);
    const held = Promise.withResolvers<void>();
    const { unpause } = platform.engine.containers;
    platform.engine.containers.unpause = async () => {
      await held.promise;
      throw new PlatformError("engine_failed", "Cannot unpause: still not");
    };
    platform.clock.advance(1_000);
    const failing = platform.endOutages();
    await waitUntil("the record to say that it is over", () => isOver(id));
    platform.clock.advance(1_000);
    await platform.endOutages();
    held.resolve();
    await failing;
    platform.engine.containers.unpause = unpause;
    expect(await triedWithin(3)).toEqual([2]);
    expect(platform.audit.entries.map(({ result }) => result)).toEqual(["failed: Cannot unpause: no", "ok"]);
  });

  test("is left alone once its environment is being destroyed", async () => {
    const id = await paused(1);
    failUnpause(1);
    expect(await triedWithin(1)).toEqual([1]);
    const record = platform.environments.get(id);
    if (record !== null) await platform.environments.save({ ...record, status: "destroying" });
    expect(await triedWithin(3)).toEqual([]);
    expect(platform.audit.entries).toHaveLength(1);
  });
});

describe("the recovery at the end of an outage", () => {
  test("is begun once, and a slow engine delays no other recovery", async () => {
    const [slow, other] = [await paused(1), await paused(2)];
    const held = Promise.withResolvers<void>();
    const { unpause } = platform.engine.containers;
    const asked: string[] = [];
    platform.engine.containers.unpause = async (name) => {
      asked.push(name);
      if (name === containerOf(slow)) await held.promise;
      return unpause(name);
    };
    platform.clock.advance(1_000);
    const first = platform.endOutages();
    await waitUntil("the first recovery", () => asked.length === 1);
    platform.clock.advance(1_000);
    await platform.endOutages();
    expect([isOver(other), asked]).toEqual([true, [containerOf(slow), containerOf(other)]]);
    held.resolve();
    await first;
    expect(isOver(slow)).toBe(true);
  });

  test("is not begun while another operation holds the environment's lock", async () => {
    const id = await paused(1);
    const release = holdLock(platform, id);
    expect(await triedWithin(3)).toEqual([]);
    await release();
    expect(await triedWithin(1)).toEqual([1]);
    expect(platform.audit.entries).toHaveLength(1);
  });

  test("delays no other recovery while its environment becomes healthy", async () => {
    const [sick, other] = [await paused(1), await paused(2)];
    platform.probe.set(`${sick}.localhost`, "hangs");
    platform.clock.advance(1_000);
    const first = platform.endOutages();
    await waitUntil("the first end", () => isOver(sick));
    platform.clock.advance(1_000);
    await platform.endOutages();
    expect(isOver(other)).toBe(true);
    platform.stop.abort();
    await first;
  });

  test("is not audited as a failure when its environment is destroyed meanwhile", async () => {
    const id = await paused(1);
    platform.probe.set(`${id}.localhost`, "hangs");
    platform.clock.advance(1_000);
    const ending = platform.endOutages();
    await waitUntil("the end", () => isOver(id));
    await platform.destroy(id);
    platform.stop.abort();
    await ending;
    expect(platform.audit.entries).toEqual([]);
  });
});

test("an outage ends when the clock was set back to before it began", async () => {
  const id = await paused(4);
  platform.clock.advance(1_000);
  await platform.endOutages();
  expect(isOver(id)).toBe(false);
  platform.clock.step(-3_600_000);
  await platform.endOutages();
  expect(isOver(id)).toBe(true);
});
