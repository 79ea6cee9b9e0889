import { expect, test, vi } from "vitest";
import { createKeyedLock } from "./keyed-lock.ts";

test("sections of one key run one at a time, in the order of the calls", async () => {
  const lock = createKeyedLock();
  const trace: string[] = [];
  const section = (name: string) => async () => {
    trace.push(`${name} in`);
    await new Promise(setImmediate);
    trace.push(`${name} out`);
  };
  await Promise.all(["a", "b", "c"].map((name) => lock.run("env", section(name))));
  expect(trace).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
});

test("a section begins at once when another key's section never ends", async () => {
  const lock = createKeyedLock();
  const gate = Promise.withResolvers<void>();
  const stuck = lock.run("one", () => gate.promise);
  expect(await lock.run("two", () => "done")).toBe("done");
  gate.resolve();
  await stuck;
});

test("a newcomer does not get in between when the key passes from one section to the next", async () => {
  const lock = createKeyedLock();
  const trace: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = lock.run("env", () => gate.promise);
  const second = lock.run("env", () => trace.push("second"));
  const third = first.then(() => lock.run("env", () => trace.push("third")));
  gate.resolve();
  await Promise.all([second, third]);
  expect(trace).toEqual(["second", "third"]);
});

test("a failing section rejects its own caller only and frees the key", async () => {
  const lock = createKeyedLock();
  const failing = lock.run("env", () => Promise.reject(new Error("broken")));
  const throwing = lock.run("env", () => {
    throw new Error("thrown");
  });
  const after = lock.run("env", () => 42);
  await expect(failing).rejects.toThrow("broken");
  await expect(throwing).rejects.toThrow("thrown");
  expect(await after).toBe(42);
});

test("a key is held from the call until its last section has ended", async () => {
  const lock = createKeyedLock();
  const gate = Promise.withResolvers<void>();
  const running = [lock.run("env", () => gate.promise), lock.run("env", () => undefined)];
  expect(lock.isHeld("env")).toBe(true);
  expect(lock.isHeld("other")).toBe(false);
  gate.resolve();
  await Promise.all(running);
  expect(lock.isHeld("env")).toBe(false);
});

test("a wait that is aborted rejects with the reason, and the sections behind it still run in order", async () => {
  const lock = createKeyedLock();
  const gate = Promise.withResolvers<void>();
  const impatience = new AbortController();
  const trace: string[] = [];
  const holder = lock.run("env", () => gate.promise);
  const aborted = lock.run("env", () => trace.push("aborted"), impatience.signal);
  const last = lock.run("env", () => trace.push("last"));
  impatience.abort(new Error("too long"));
  await expect(aborted).rejects.toThrow("too long");
  gate.resolve();
  await Promise.all([holder, last]);
  expect(trace).toEqual(["last"]);
  expect(lock.isHeld("env")).toBe(false);
});

test("an abort after the section has begun does not reject it", async () => {
  const lock = createKeyedLock();
  const late = new AbortController();
  const gate = Promise.withResolvers<void>();
  const first = lock.run("env", () => gate.promise);
  const waiter = lock.run("env", () => "waited", late.signal);
  gate.resolve();
  await first;
  late.abort();
  expect(await waiter).toBe("waited");
});

test("a section whose signal is aborted already does not begin", async () => {
  const lock = createKeyedLock();
  await expect(lock.run("env", () => "never", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  expect(lock.isHeld("env")).toBe(false);
});

test("whenIdle waits for every section that runs or waits, failing ones too, and resolves at once when there is none", async () => {
  const lock = createKeyedLock();
  await lock.whenIdle();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const [one, waiting, two] = gates;
  const sections = [
    lock.run("one", () => one?.promise),
    lock.run("one", () => waiting?.promise),
    lock.run("two", () => two?.promise),
  ].map((section) => section.catch(() => undefined));
  const isIdle = vi.fn<() => void>();
  const idle = lock.whenIdle().then(isIdle);
  for (const [index, gate] of gates.entries()) {
    await new Promise(setImmediate);
    expect(isIdle).not.toHaveBeenCalled();
    if (index === 1) gate.reject(new Error("broken"));
    else gate.resolve();
  }
  await Promise.all(sections);
  await idle;
  expect(lock.isHeld("one")).toBe(false);
});

test("ten thousand sections of one key all run", async () => {
  const lock = createKeyedLock();
  let sum = 0;
  await Promise.all(Array.from({ length: 10_000 }, () => lock.run("env", () => void sum++)));
  expect(sum).toBe(10_000);
});
