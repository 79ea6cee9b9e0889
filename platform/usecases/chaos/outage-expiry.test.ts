import { describe, expect, test, vi } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => (platform = fresh));

const containerOf = (id: string) => `${INSTANCE}-${id}-app`;
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

  test("is tried again after ever longer pauses, at most a minute", async () => {
    await paused(1);
    failUnpause(1_000);
    expect(await triedWithin(250)).toEqual([1, 2, 4, 8, 16, 32, 64, 124, 184, 244]);
  });

  test("is told of when it fails first and when it succeeds", async () => {
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

  test("delays no other outage's end, nor its environment's next one", async () => {
    const [stuck, other] = [await paused(1), await paused(20)];
    failUnpause(5);
    await triedWithin(20);
    expect([isOver(stuck), isOver(other)]).toEqual([false, true]);
    await platform.recover(stuck);
    await platform.injectOutage(stuck, { mode: "pause", duration: 1 });
    expect(await triedWithin(2)).toEqual([1]);
    expect(isOver(stuck)).toBe(true);
  });

  test("is not told of again when a failure takes long", async () => {
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

describe("a recovery that is under way", () => {
  test("is not begun twice and delays nobody's end while the engine takes its time", async () => {
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

  test("is not begun while something else is at work on its environment", async () => {
    const id = await paused(1);
    const held = Promise.withResolvers<void>();
    const busy = platform.locks.run(id, () => held.promise);
    expect(await triedWithin(3)).toEqual([]);
    held.resolve();
    await busy;
    expect(await triedWithin(1)).toEqual([1]);
    expect(platform.audit.entries).toHaveLength(1);
  });

  test("delays nobody's end while its environment becomes healthy", async () => {
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

  test("has not failed when its environment is destroyed meanwhile", async () => {
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

test("an outage ends although the clock was set back", async () => {
  const id = await paused(4);
  platform.clock.advance(1_000);
  await platform.endOutages();
  expect(isOver(id)).toBe(false);
  platform.clock.step(-3_600_000);
  await platform.endOutages();
  expect(isOver(id)).toBe(true);
});
