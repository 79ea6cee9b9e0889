import { expect, test, vi } from "vitest";
import { createTaskTracker } from "./task-tracker.ts";

test("whenIdle waits for what has failed, what goes on, and what began meanwhile", async () => {
  const underWay = createTaskTracker();
  await underWay.whenIdle();
  const [first, later] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()];
  const tracked = underWay.track(first.promise);
  const failed = underWay.track(Promise.reject(new Error("broken")));
  const isIdle = vi.fn<() => void>();
  const idle = underWay.whenIdle().then(isIdle);
  const began = underWay.track(later.promise);
  first.resolve("done");
  expect(await tracked).toBe("done");
  await expect(failed).rejects.toThrow("broken");
  await new Promise(setImmediate);
  expect(isIdle).not.toHaveBeenCalled();
  later.resolve();
  await began;
  await idle;
});
