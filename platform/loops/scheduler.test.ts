import { afterEach, expect, test } from "vitest";
import { createLogger } from "../runtime/logger.ts";
import { waitUntil } from "../test/support/wait-until.ts";
import { startScheduler, type Scheduler } from "./scheduler.ts";

const EVERY_SECOND = "* * * * * *";
const logger = createLogger("silent");
let scheduler: Scheduler | null = null;

afterEach(async () => {
  await scheduler?.stop();
  scheduler = null;
});

test("a job that is still busy is not started again", async () => {
  const held = Promise.withResolvers<void>();
  let starts = 0;
  let ticks = 0;
  scheduler = startScheduler(
    [
      { name: "busy", schedule: EVERY_SECOND, run: () => (starts++, held.promise) },
      { name: "tick", schedule: EVERY_SECOND, run: () => Promise.resolve(void ticks++) },
    ],
    logger,
  );
  await waitUntil("three ticks", () => ticks >= 3);
  expect(starts).toBe(1);
  held.resolve();
  await waitUntil("another start", () => starts >= 2);
});

test("a job that throws is told of, runs again, and is well again", async () => {
  let runs = 0;
  const job = async () => {
    if (++runs === 1) throw new Error("no engine");
  };
  scheduler = startScheduler([{ name: "shaky", schedule: EVERY_SECOND, run: job }], logger);
  await waitUntil("the first run to fail", () => scheduler?.health().ok === false);
  expect(scheduler.health().detail).toBe("shaky: no engine");
  await waitUntil("the next run to succeed", () => scheduler?.health().ok === true);
});

test("stopping waits for the run under way", async () => {
  const held = Promise.withResolvers<void>();
  let started = false;
  const mine = startScheduler(
    [{ name: "slow", schedule: EVERY_SECOND, run: () => ((started = true), held.promise) }],
    logger,
  );
  await waitUntil("a run", () => started);
  let stopped = false;
  const stopping = mine.stop().then(() => (stopped = true));
  await Promise.resolve();
  expect(stopped).toBe(false);
  held.resolve();
  await stopping;
});
