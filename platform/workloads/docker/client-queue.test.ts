import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { serve } from "../../test/support/canned-engine.ts";
import { createDockerClient, createEngineQueue, type Lane } from "./client.ts";

/** What has begun, in order, and a way to end all of it. */
function startWorks(works: [Lane, string][]): { begun: string[]; end: () => void } {
  const [inLane, over] = [createEngineQueue(), Promise.withResolvers<void>()];
  const begun: string[] = [];
  for (const [lane, name] of works)
    void inLane(lane, async () => {
      begun.push(name);
      await over.promise;
    });
  return { begun, end: () => over.resolve() };
}

const many = (lane: Lane): [Lane, string][] => Array.from({ length: 100 }, (_, index) => [lane, `${lane} ${index}`]);

test("changes of the high lane come before those of the low one, and each lane keeps its order", async () => {
  const { begun, end } = startWorks([...many("low"), ...many("high")]);
  await nextTick();
  const atOnce = begun.length;
  expect(begun).toEqual(
    many("low")
      .slice(0, atOnce)
      .map(([, name]) => name),
  );
  end();
  await nextTick();
  expect(begun.slice(atOnce)).toEqual([...many("high"), ...many("low").slice(atOnce)].map(([, name]) => name));
});

test("changes of networks wait for each other alone", async () => {
  const [alone, beside] = [startWorks(many("low")), startWorks([...many("network"), ...many("low")])];
  await nextTick();
  const of = (lane: Lane) => beside.begun.filter((name) => name.startsWith(lane)).length;
  expect(of("low")).toBe(alone.begun.length);
  expect(of("network")).toBe(2);
  alone.end();
  beside.end();
  await nextTick();
  expect(of("network")).toBe(100);
});

test("a change that fails rejects for its own caller and gives its turn back", async () => {
  const inLane = createEngineQueue();
  const failing = Array.from({ length: 100 }, () => inLane("network", () => Promise.reject(new Error("no"))));
  expect((await Promise.allSettled(failing)).every(({ status }) => status === "rejected")).toBe(true);
  expect(await inLane("network", async () => "done")).toBe("done");
});

test("a change that waits at the shutdown deadline is refused, and one that has begun is finished", async () => {
  const { socketPath } = await serve({});
  const late = new AbortController();
  const client = createDockerClient({ socketPath, instance: "sandbox", timeoutMs: 5_000, cutOff: late.signal });
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const work = async () => {
    begun.resolve();
    await go.promise;
    return "done";
  };
  const changes = Array.from({ length: 64 }, () => client.call("change it", work, { lane: "low" }));
  await begun.promise;
  late.abort();
  go.resolve();
  const ends = await Promise.allSettled(changes);
  const refused = ends.filter(({ status }) => status === "rejected");
  expect(ends[0]).toEqual({ status: "fulfilled", value: "done" });
  expect(refused.length).toBeGreaterThan(0);
  expect(refused).toMatchObject(refused.map(() => ({ reason: { code: "shutting_down" } })));
});
