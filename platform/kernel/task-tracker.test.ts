import { expect, test, vi } from "vitest";
import { createTaskTracker } from "./task-tracker.ts";

test("whenIdle waits for running, failed and newly begun work", async () => {
  const tasks = createTaskTracker();
  await tasks.whenIdle();
  const [first, later] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()];
  const tracked = tasks.track(first.promise);
  const failed = tasks.track(Promise.reject(new Error("broken")));
  const isIdle = vi.fn<() => void>();
  const idle = tasks.whenIdle().then(isIdle);
  const began = tasks.track(later.promise);
  first.resolve("done");
  expect(await tracked).toBe("done");
  await expect(failed).rejects.toThrow("broken");
  await new Promise(setImmediate);
  expect(isIdle).not.toHaveBeenCalled();
  later.resolve();
  await began;
  await idle;
});
