import { expect, test } from "vitest";
import { machineNow } from "./machine-pace.ts";
import { joinLoops, latenciesClearOf, openLoop } from "./open-loop.ts";

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

test("of each answer it is told when it was due, by the machine's clock", async () => {
  const before = machineNow();
  const loop = await openLoop({ perSecond: 100, seconds: 0.03 }, async () => {});
  expect(loop.dues).toHaveLength(3);
  expect(loop.dues).toEqual(loop.dues.toSorted((one, other) => one - other));
  expect(loop.dues.every((due) => due >= before && due <= machineNow())).toBe(true);
});

test("latencies clear of a span are those of requests that were due after it or answered before it", () => {
  const loop = { latencies: [5, 6, 7, 8], dues: [100, 110, 120, 130], lateness: [], failures: {} };
  expect(latenciesClearOf([{ from: 118, to: 125 }], loop)).toEqual([5, 6, 8]);
});

test("loops that are joined keep each answer beside when it was due, and add up their failures", () => {
  const one = { latencies: [1], dues: [10], lateness: [0], failures: { "503": 1 } };
  expect(joinLoops([one, { ...one, latencies: [2], dues: [20], failures: { "503": 2, reset: 1 } }])).toEqual({
    latencies: [1, 2],
    dues: [10, 20],
    lateness: [0, 0],
    failures: { "503": 3, reset: 1 },
  });
});
