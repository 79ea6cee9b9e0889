import { describe, expect, onTestFinished, test } from "vitest";
import type { LogStore } from "../../store/logs/log-store.ts";
import { aLine, collect, collectAll, textsOf } from "../support/log-lines.ts";
import { waitUntil } from "../support/wait-until.ts";

const ID = "env-hello-mf3k2x9a";
const OTHER = "env-other-mf3k2x9b";

/** A signal for one test, aborted when it ends. */
function aborted(): AbortController {
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  return controller;
}

/** How every LogStore is followed; run against the fake and the one on disk. `newStore` gives an empty one. */
export function describeLogFollowContract(name: string, newStore: () => Promise<LogStore>): void {
  async function makeStore(): Promise<LogStore> {
    const store = await newStore();
    onTestFinished(() => store.close());
    return store;
  }

  describe(`LogStore follow contract: ${name}`, () => {
    test("follow gives matching lines appended after it began, and ends when its signal aborts", async () => {
      const store = await makeStore();
      const stop = aborted();
      await store.append(ID, [aLine(1, "before error")]);
      const { seen, ended } = collect(store.follow(ID, { grep: "ERROR", service: "app" }, stop.signal));
      await store.append(ID, [
        aLine(2, "error 1"),
        aLine(2, "fine"),
        aLine(2, "error 2", { service: "db" }),
        aLine(3, "error 3"),
      ]);
      await waitUntil("two lines", () => seen.length === 2, 10_000, 10);
      expect(textsOf(seen)).toEqual(["error 1", "error 3"]);
      stop.abort();
      await ended;
    });

    test("follow delivers each line before the next one is appended", async () => {
      const store = await makeStore();
      const { seen } = collect(store.follow(ID, {}, aborted().signal));
      for (let second = 0; second < 3; second++) {
        await store.append(ID, [aLine(second, "tick")]);
        await waitUntil("the line", () => seen.length === second + 1, 10_000, 10);
      }
    });

    test("follow with lines begins with the last ones and goes on without a gap or a double", async () => {
      const store = await makeStore();
      const numbers = Array.from({ length: 400 }, (_, index) => index);
      for (const number of numbers.slice(0, 100)) await store.append(ID, [aLine(number, `${number}`)]);
      const appending = (async () => {
        for (const number of numbers.slice(100)) await store.append(ID, [aLine(number, `${number}`)]);
      })();
      const { seen } = collect(store.follow(ID, { lines: 10 }, aborted().signal));
      await appending;
      await waitUntil("the last line", () => seen.at(-1)?.endsWith(" 399"), 3_000, 10);
      const got = textsOf(seen)?.map(Number) ?? [];
      expect(got).toEqual(numbers.slice(got[0] ?? 0));
      expect(got.length).toBeGreaterThanOrEqual(10);
    });

    test("follow waits for an environment that has written nothing yet", async () => {
      const store = await makeStore();
      const { seen } = collect(store.follow(ID, { lines: 5 }, aborted().signal));
      expect(await store.list()).toEqual([]);
      expect(await store.read(ID, { lines: 1 })).toBeNull();
      await store.append(ID, [aLine(1, "first")]);
      await waitUntil("the first line", () => seen.length === 1, 10_000, 10);
    });

    test("follow delivers everything appended before the archiving and then ends", async () => {
      const store = await makeStore();
      const { seen, ended } = collect(store.follow(ID, {}, aborted().signal));
      await store.append(ID, [aLine(1, "one")]);
      await store.append(ID, [aLine(2, "two")]);
      await store.archive(ID);
      await ended;
      expect(textsOf(seen)).toEqual(["one", "two"]);
    });

    test("follow of archived logs gives the last lines and ends", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "one"), aLine(2, "two")]);
      await store.archive(ID);
      expect(textsOf(await collectAll(store.follow(ID, { lines: 1 }, aborted().signal)))).toEqual(["two"]);
    });

    test("follow with isOver ends after the lines that are there", async () => {
      const store = await makeStore();
      const follow = () => collectAll(store.follow(ID, { lines: 2, isOver: true }, aborted().signal));
      expect(await follow()).toEqual([]);
      await store.append(ID, [aLine(1, "one"), aLine(2, "two"), aLine(3, "three")]);
      expect(textsOf(await follow())).toEqual(["two", "three"]);
    });

    test("followers end when logs are discarded and when the store closes", async () => {
      const store = await makeStore();
      await store.append(ID, [aLine(1, "one")]);
      const discarded = collect(store.follow(ID, {}, aborted().signal));
      const open = collect(store.follow(OTHER, {}, aborted().signal));
      await store.discard(ID);
      await discarded.ended;
      await store.close();
      await open.ended;
      expect([...discarded.seen, ...open.seen]).toEqual([]);
    });

    test("several followers each get every line, and one that stops early hurts none", async () => {
      const store = await makeStore();
      const { seen } = collect(store.follow(ID, {}, aborted().signal));
      const leaving = (async () => {
        for await (const line of store.follow(ID, {}, aborted().signal)) return line;
        return null;
      })();
      await store.append(ID, [aLine(1, "one"), aLine(2, "two")]);
      expect(await leaving).toContain("one");
      await store.append(ID, [aLine(3, "three")]);
      await waitUntil("three lines", () => seen.length === 3, 10_000, 10);
    });
  });
}
