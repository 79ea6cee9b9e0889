import { expect, test } from "vitest";
import { closedLoop } from "./closed-loop.ts";

test("as many calls are under way as there are callers, and each calls again when it is answered", async () => {
  let [under, most, calls] = [0, 0, 0];
  const stop = new AbortController();
  const loop = await closedLoop({ callers: 8, seconds: 60, signal: stop.signal }, async () => {
    most = Math.max(most, ++under);
    await Promise.resolve();
    under--;
    if (++calls === 100) stop.abort();
  });
  expect(most).toBe(8);
  // Those that were under way when the hundredth was answered are answered too.
  expect(loop.latencies.length).toBeGreaterThanOrEqual(100);
  expect(loop.latencies.length).toBeLessThanOrEqual(107);
  expect(loop.dues).toHaveLength(loop.latencies.length);
});

test("it ends by itself", async () => {
  const loop = await closedLoop({ callers: 2, seconds: 0.02 }, () => new Promise((resolve) => setImmediate(resolve)));
  expect(loop.latencies.length).toBeGreaterThan(0);
});

test("a call that fails ends it", async () => {
  const refuse = async (): Promise<void> => {
    throw new Error("503");
  };
  await expect(closedLoop({ callers: 2, seconds: 60 }, refuse)).rejects.toThrow("503");
});
