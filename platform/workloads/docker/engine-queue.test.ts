import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTurns, type Turn } from "./engine-queue.ts";

/** What has begun, in order, and a way to end all of it. */
function startWorks(works: [Turn, string][]): { begun: string[]; end: () => void } {
  const [inTurn, over] = [createTurns(), Promise.withResolvers<void>()];
  const begun: string[] = [];
  for (const [turn, name] of works)
    void inTurn(turn, async () => {
      begun.push(name);
      await over.promise;
    });
  return { begun, end: () => over.resolve() };
}

const many = (turn: Turn): [Turn, string][] => Array.from({ length: 100 }, (_, index) => [turn, `${turn} ${index}`]);

test("what continues something comes before what begins something, and both in the order in which they were asked for", async () => {
  const { begun, end } = startWorks([...many("begins"), ...many("continues")]);
  await nextTick();
  const atOnce = begun.length;
  expect(begun).toEqual(
    many("begins")
      .slice(0, atOnce)
      .map(([, name]) => name),
  );
  end();
  await nextTick();
  expect(begun.slice(atOnce)).toEqual([...many("continues"), ...many("begins").slice(atOnce)].map(([, name]) => name));
});

test("networks take nobody else's turn, and nobody else takes theirs", async () => {
  const [alone, beside] = [startWorks(many("begins")), startWorks([...many("network"), ...many("begins")])];
  await nextTick();
  const of = (turn: Turn) => beside.begun.filter((name) => name.startsWith(turn)).length;
  expect(of("begins")).toBe(alone.begun.length);
  expect(of("network")).toBe(2);
  alone.end();
  beside.end();
  await nextTick();
  expect(of("network")).toBe(100);
});

test("work that fails is its own caller's trouble and gives its turn back", async () => {
  const inTurn = createTurns();
  const failing = Array.from({ length: 100 }, () => inTurn("network", () => Promise.reject(new Error("no"))));
  expect((await Promise.allSettled(failing)).every(({ status }) => status === "rejected")).toBe(true);
  expect(await inTurn("network", async () => "done")).toBe("done");
});
