import { expect, test } from "vitest";
import { createNotifier } from "./notifier.ts";

const never = new AbortController().signal;

test("a change wakes all who wait, and those who ask later wait for the next one", async () => {
  const notifier = createNotifier();
  const woken: string[] = [];
  const wait = async (name: string) => void (await notifier.next(never).then(() => woken.push(name)));
  const first = [wait("a"), wait("b")];
  notifier.notify();
  await Promise.all(first);
  const later = wait("c");
  expect(woken).toEqual(["a", "b"]);
  notifier.notify();
  await later;
  expect(woken).toEqual(["a", "b", "c"]);
});

test("a change between a look and the wait is not missed by a caller that says how many it has seen", async () => {
  const notifier = createNotifier();
  const seen = notifier.count();
  notifier.notify();
  await expect(notifier.next(never, seen)).resolves.toBeUndefined();
});

test("a wait ends when its signal aborts, before or after it began", async () => {
  const notifier = createNotifier();
  await expect(notifier.next(AbortSignal.abort())).resolves.toBeUndefined();
  const controller = new AbortController();
  const waiting = notifier.next(controller.signal);
  controller.abort();
  await expect(waiting).resolves.toBeUndefined();
});
