import { expect, test } from "vitest";
import { createIdleQueue } from "./idle-queue.ts";

const never = new AbortController().signal;

test("background work begins only when no operation is in progress", async () => {
  const queue = createIdleQueue(never);
  const operation = Promise.withResolvers<void>();
  const order: string[] = [];
  const busy = queue.busyWhile(() => operation.promise).then(() => order.push("operation"));
  const work = queue.run(async () => order.push("work"));
  operation.resolve();
  await Promise.all([busy, work]);
  expect(order).toEqual(["operation", "work"]);
});

test("background work begins beside operations that never pause, once its patience has ended", async () => {
  const queue = createIdleQueue(never, { one: 1, several: 1 });
  const operation = Promise.withResolvers<void>();
  const busy = [queue.busyWhile(() => operation.promise), queue.busyWhile(() => operation.promise)];
  expect(await queue.run(async () => "done")).toBe("done");
  operation.resolve();
  await Promise.all(busy);
});

test("background work runs one piece at a time, also after a piece that failed", async () => {
  const queue = createIdleQueue(never);
  let running = 0;
  const piece = async () => {
    expect(running++).toBe(0);
    await Promise.resolve();
    running--;
    throw new Error("failed");
  };
  const results = await Promise.allSettled([queue.run(piece), queue.run(piece)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("background work does not begin after the platform was told to stop", async () => {
  const stopping = new AbortController();
  const queue = createIdleQueue(stopping.signal);
  stopping.abort();
  expect(await queue.run(async () => "done")).toBeNull();
});
