import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { describeLogFollowContract } from "../test/contracts/log-follow-contract.ts";
import { appendNumbers, collect, numbersOf, range } from "../test/support/log-lines.ts";
import { openFilesBelow } from "../test/support/open-files.ts";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { waitUntil } from "../test/support/wait-until.ts";
import { createDiskLogStore } from "./disk-log-store.ts";
import type { LogStore } from "./store.ts";

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

test("a follower in the middle of the files reads them one after the other, also once they are archived", async () => {
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

test("a stalled follower costs one open file, skips what was deleted meanwhile, and goes on in order", async () => {
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
