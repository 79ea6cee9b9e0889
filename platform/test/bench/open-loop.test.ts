import { expect, test } from "vitest";
import { openLoop } from "./open-loop.ts";

test("requests are sent at their rate although none has been answered yet", async () => {
  const release = Promise.withResolvers<void>();
  let asked = 0;
  const running = openLoop({ perSecond: 1000, seconds: 0.02 }, () => {
    if (++asked === 20) release.resolve();
    return release.promise;
  });
  expect((await running).latencies).toHaveLength(20);
});

test("a request held up before it is sent counts from when it was due", async () => {
  let asked = 0;
  const { latencies, lateness } = await openLoop({ perSecond: 100, seconds: 0.03 }, async () => {
    // Holds up the sender too: the next one was due 10 ms after this one.
    if (asked++ === 0) for (const end = performance.now() + 50; performance.now() < end; );
  });
  expect(latencies[0]).toBeGreaterThanOrEqual(50);
  expect(lateness[1]).toBeGreaterThanOrEqual(39);
  expect(latencies[1]).toBeGreaterThanOrEqual(39);
});

test("bad answers are counted by their reason and have no latency", async () => {
  let asked = 0;
  const { latencies, failures } = await openLoop({ perSecond: 1000, seconds: 0.004 }, async () => {
    if (asked++ % 2 === 0) throw new Error("503");
  });
  expect([latencies.length, failures]).toEqual([2, { "503": 2 }]);
});

test("an aborted loop sends nothing more", async () => {
  const stop = new AbortController();
  const { latencies } = await openLoop({ perSecond: 1000, seconds: 60, signal: stop.signal }, async () => stop.abort());
  expect(latencies).toHaveLength(1);
});
