import { expect, test } from "vitest";
import { openLoop } from "./open-loop.ts";

test("an open loop sends requests at its rate although none has been answered yet", async () => {
  const release = Promise.withResolvers<void>();
  let asked = 0;
  const running = openLoop({ perSecond: 1000, seconds: 0.02 }, () => {
    if (++asked === 20) release.resolve();
    return release.promise;
  });
  expect((await running).latencies).toHaveLength(20);
});

test("an open loop counts a request that it sent late from the moment it was due", async () => {
  let asked = 0;
  const { latencies, lateness } = await openLoop({ perSecond: 100, seconds: 0.03 }, async () => {
    // Blocks the client too: the next request is due 10 ms after this one.
    if (asked++ === 0) for (const end = performance.now() + 50; performance.now() < end; );
  });
  expect(latencies[0]).toBeGreaterThanOrEqual(50);
  expect(lateness[1]).toBeGreaterThanOrEqual(39);
  expect(latencies[1]).toBeGreaterThanOrEqual(39);
});

test("an open loop stops at the first request that fails and rejects with its error", async () => {
  let asked = 0;
  const running = openLoop({ perSecond: 1000, seconds: 60 }, async () => {
    if (++asked === 2) throw new Error("503");
  });
  await expect(running).rejects.toThrow("503");
});

test("an open loop sends nothing more once its signal is aborted", async () => {
  const stop = new AbortController();
  const { latencies } = await openLoop({ perSecond: 1000, seconds: 60, signal: stop.signal }, async () => stop.abort());
  expect(latencies).toHaveLength(1);
});
