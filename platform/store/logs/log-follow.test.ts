import { truncate } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { describeLogFollowContract } from "../../test/contracts/log-follow-contract.ts";
import { aLine, appendNumbers, collect, collectAll, numbersOf, range } from "../../test/support/log-lines.ts";
import { openFilesBelow } from "../../test/support/open-files.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createDiskLogStore } from "./disk-log-store.ts";
import { BLOCK_BYTES } from "../files/file-chain.ts";
import type { LogStore } from "./log-store.ts";

const ID = "env-hello-mf3k2x9a";

describeLogFollowContract("disk", async () =>
  createDiskLogStore({ folder: join(await temporaryFolder(), "logs"), maxSize: 10 * 1024 * 1024 }),
);

async function openStore(maxSize: number): Promise<{ store: LogStore; logs: string }> {
  const folder = join(await temporaryFolder(), "logs");
  const store = createDiskLogStore({ folder, maxSize });
  onTestFinished(() => store.close());
  return { store, logs: join(folder, ID) };
}

test("a follower gets every line once and in order across many rotations", async () => {
  const { store } = await openStore(1024);
  const stop = new AbortController();
  const { seen, ended } = collect(store.follow(ID, {}, stop.signal));
  for (let first = 0; first < 500; first += 10) {
    await appendNumbers(store, ID, first, 10);
    // About two thirds of a file at a time, so that what is next is always kept.
    if (first % 20 === 10) await waitUntil("the follower", () => seen.length === first + 10, 2_000, 10);
  }
  stop.abort();
  await ended;
  expect(numbersOf(seen)).toEqual(range(0, 500));
});

test("a follower in the middle of the files reads the rest one after the other, also once they are archived", async () => {
  const { store } = await openStore(1024);
  await appendNumbers(store, ID, 0, 10);
  const lines = store.follow(ID, { lines: 1 }, new AbortController().signal)[Symbol.asyncIterator]();
  expect(numbersOf([(await lines.next()).value])).toEqual([9]);
  await appendNumbers(store, ID, 10, 30);
  await store.archive(ID);
  const rest: string[] = [];
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) rest.push(next.value);
  expect(numbersOf(rest)).toEqual(range(10, 40));
});

test("a stalled follower holds one open file, skips the lines that were deleted meanwhile, and goes on in order", async () => {
  const { store, logs } = await openStore(1024);
  await appendNumbers(store, ID, 0, 10);
  const lines = store.follow(ID, { lines: 1 }, new AbortController().signal)[Symbol.asyncIterator]();
  await lines.next();
  await appendNumbers(store, ID, 10, 2000);
  expect((await openFilesBelow(logs)).length).toBe(2);
  const seen: number[] = [];
  while (seen.at(-1) !== 2009) seen.push(...numbersOf([(await lines.next()).value]));
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.length).toBeLessThan(200);
  await lines.return?.();
  expect((await openFilesBelow(logs)).length).toBe(1);
});

/** A store whose log is about two megabytes, in one file. */
async function storeOfTwoMegabytes(): Promise<{ store: LogStore; logs: string; lines: number }> {
  const opened = await openStore(10 * 1024 * 1024);
  const text = "x".repeat(1_000);
  const lines = range(0, 2_000).map((number) => aLine(number, text));
  await opened.store.append(ID, lines);
  return { ...opened, lines: lines.length };
}

test.each(["living", "archived"])(
  "stalled followers of %s logs hold a block each, however many lines they asked for",
  async (state) => {
    const { store, logs, lines } = await storeOfTwoMegabytes();
    if (state === "archived") await store.archive(ID);
    const folder = state === "archived" ? join(logs, "..", "archived", ID) : logs;
    const stalled = await Promise.all(
      range(0, 20).map(async () => {
        const follower = store.follow(ID, { lines }, new AbortController().signal)[Symbol.asyncIterator]();
        expect((await follower.next()).done).toBe(false);
        return follower;
      }),
    );
    // What is no longer on disk, a follower can only give if it was in memory.
    await truncate(join(folder, "app.log"), 0);
    await store.archive(ID);
    for (const follower of stalled) {
      let held = 0;
      for (let next = await follower.next(); next.done !== true; next = await follower.next())
        held += Buffer.byteLength(next.value) + 1;
      expect(held).toBeLessThanOrEqual(BLOCK_BYTES);
    }
  },
);

test("a follower begins with the same lines that read gives, for any query", async () => {
  const { store } = await openStore(4_000);
  let cases = 0;
  const word = fc.constantFrom("red", "gr\u00fcn", "\u{1f4a5}");
  const line = fc.record({ text: fc.array(word, { maxLength: 12 }), service: fc.constantFrom("app", "db") });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 150 }), fc.nat({ max: 160 }), word, async (given, lines, grep) => {
      const id = `env-case-${cases++}`;
      for (const [second, { text, service }] of given.entries())
        await store.append(id, [aLine(second, text.join(" "), { service })]);
      await store.archive(id);
      for (const query of [
        { lines },
        { lines, grep },
        { lines, service: "db" },
        { lines, since: Date.UTC(2030, 0, 1) + 50_000 },
      ])
        expect(await collectAll(store.follow(id, query, new AbortController().signal))).toEqual(
          (await store.read(id, query)) ?? [],
        );
    }),
    { numRuns: 30 },
  );
});

test("a follower begins with at most eight megabytes of lines, as read does", async () => {
  const { store } = await openStore(3 * 1024 * 1024);
  const text = "x".repeat(60_000);
  for (let second = 0; second < 180; second++) await store.append(ID, [aLine(second, text)]);
  await store.archive(ID);
  const seen = await collectAll(store.follow(ID, { lines: 10_000 }, new AbortController().signal));
  expect(seen.length).toBe(139);
  expect(seen).toEqual(await store.read(ID, { lines: 10_000 }));
});
