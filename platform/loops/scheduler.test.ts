import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createTask, type ScheduledTask } from "node-cron";
import { createLogger } from "../kernel/logger.ts";
import { startScheduler, type Scheduler } from "./scheduler.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const logger = createLogger("silent");
const warn = vi.spyOn(logger, "warn");
let scheduler: Scheduler;
/** How many runs each job has begun. */
let begun: Record<string, number>;

beforeEach(() => {
  // Timers go by the time that passes, which setSystemTime does not change.
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) });
  warn.mockClear();
  begun = {};
});

afterEach(async () => {
  await scheduler.stop();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const setClock = (byMs: number) => vi.setSystemTime(Date.now() + byMs);

/** A job that counts its runs and then does the given work. */
function job(name: string, schedule: string | number, work: () => Promise<void> = async () => {}) {
  begun[name] = 0;
  return {
    name,
    schedule,
    run: () => {
      begun[name] = (begun[name] ?? 0) + 1;
      return work();
    },
  };
}

test("jobs run by their schedules: cron expressions, with seconds or without, and milliseconds", async () => {
  scheduler = startScheduler(
    [job("minute", "* * * * *"), job("half", "*/30 * * * * *"), job("second", SECOND)],
    logger,
  );
  await pass(10 * MINUTE + SECOND);
  expect(begun).toEqual({ minute: 10, half: 20, second: 601 });
  expect(scheduler.health()).toEqual({ ok: true, detail: "minute, half, second" });
  expect(warn).not.toHaveBeenCalled();
});

test("the scheduler does not ask node-cron, which is slow, while no job is due", async () => {
  const probe = createTask("* * * * *", () => {});
  const asked = vi.spyOn(Object.getPrototypeOf(probe) as ScheduledTask, "getNextRuns");
  await probe.destroy();
  scheduler = startScheduler([job("minute", "* * * * *"), job("hour", "0 * * * *")], logger);
  asked.mockClear();
  await pass(MINUTE - SECOND);
  expect(asked).not.toHaveBeenCalled();
  await pass(2 * SECOND);
  expect(begun).toEqual({ minute: 1, hour: 0 });
  expect(asked).toHaveBeenCalled();
  asked.mockRestore();
});

test("a job that is still busy skips its run, and others do not", async () => {
  const held = Promise.withResolvers<void>();
  scheduler = startScheduler([job("busy", "* * * * * *", () => held.promise), job("free", "* * * * * *")], logger);
  await pass(3 * SECOND);
  expect(begun).toEqual({ busy: 1, free: 3 });
  held.resolve();
  await pass(SECOND);
  expect(begun).toEqual({ busy: 2, free: 4 });
});

test("a job that overlaps begins a run beside the one that is still busy", async () => {
  const held = Promise.withResolvers<void>();
  const slow = job("slow", SECOND, () => held.promise);
  scheduler = startScheduler([{ ...slow, overlaps: true }], logger);
  await pass(3 * SECOND);
  expect(begun["slow"]).toBe(3);
  held.resolve();
});

test("a job that throws is reported by health, runs again when due, and is then healthy", async () => {
  const shaky = job("shaky", "* * * * *", () =>
    begun["shaky"] === 1 ? Promise.reject(new Error("no engine")) : Promise.resolve(),
  );
  scheduler = startScheduler([shaky], logger);
  await pass(MINUTE);
  expect(scheduler.health()).toEqual({ ok: false, detail: "failing: shaky; the log says why" });
  await pass(MINUTE);
  expect(scheduler.health().ok).toBe(true);
});

test.each([
  ["* * * * *", MINUTE, 3 * MINUTE],
  ["*/2 * * * * *", 2 * SECOND, 30 * SECOND],
  [SECOND, SECOND, 30 * SECOND],
])("a job of schedule %s that begins no more runs is reported as late", async (schedule, period, patience) => {
  const held = Promise.withResolvers<void>();
  scheduler = startScheduler([job("stuck", schedule, () => held.promise), job("free", "* * * * *")], logger);
  await pass(period);
  expect(begun["stuck"]).toBe(1);
  await pass(patience - SECOND);
  expect(scheduler.health().ok).toBe(true);
  await pass(2 * SECOND);
  expect(scheduler.health()).toEqual({ ok: false, detail: "not begun when due: stuck; the log says why" });
  held.resolve();
  await pass(period);
  expect(scheduler.health().ok).toBe(true);
});

test("stop waits for the runs under way, overlapping ones too, and begins no more", async () => {
  const held = Promise.withResolvers<void>();
  const slow = job("slow", SECOND, () => held.promise);
  scheduler = startScheduler([{ ...slow, overlaps: true }, job("other", "* * * * * *")], logger);
  await pass(2 * SECOND);
  let stopped = false;
  const stopping = scheduler.stop().then(() => (stopped = true));
  await pass(HOUR);
  expect([begun, stopped]).toEqual([{ slow: 2, other: 2 }, false]);
  held.resolve();
  await stopping;
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ["30 seconds", 30 * SECOND],
  ["an hour", HOUR],
  ["a year", 365 * DAY],
])("a clock set back by %s stops no job", async (_, ms) => {
  scheduler = startScheduler([job("minute", "* * * * *"), job("half", "*/30 * * * * *"), job("own", SECOND)], logger);
  await pass(2 * MINUTE + 5 * SECOND);
  setClock(-ms);
  const before = { ...begun };
  await pass(2 * MINUTE);
  const more = Object.fromEntries(Object.entries(begun).map(([name, count]) => [name, count - (before[name] ?? 0)]));
  expect(more).toEqual({ minute: 2, half: 4, own: 120 });
  expect(scheduler.health().ok).toBe(true);
});

describe.each([
  ["an hour", HOUR],
  ["a day", DAY],
])("a clock set forward by %s", (_, ms) => {
  test.each([0, 250, 500, 750, 980])(
    "at millisecond %i of a second runs each due job once, without its missed runs",
    async (phase) => {
      scheduler = startScheduler([job("hourly", "0 * * * *"), job("cron", "* * * * * *"), job("own", SECOND)], logger);
      await pass(10 * SECOND + phase);
      expect(begun).toEqual({ hourly: 0, cron: 10, own: 10 });
      setClock(ms);
      await pass(SECOND);
      expect(begun["hourly"]).toBe(1);
      await pass(9 * SECOND);
      expect(begun).toMatchObject({ hourly: 1, own: 20 });
      expect(Math.abs((begun["cron"] ?? 0) - 20)).toBeLessThanOrEqual(1);
      expect(warn).not.toHaveBeenCalled();
    },
  );
});

test("a clock corrected by a second forward and back makes no job run twice", async () => {
  scheduler = startScheduler([job("half", "*/30 * * * * *")], logger);
  await pass(5 * SECOND);
  setClock(SECOND);
  await pass(5 * SECOND);
  setClock(-SECOND);
  await pass(MINUTE);
  expect(begun).toEqual({ half: 2 });
  expect(warn).not.toHaveBeenCalled();
});
