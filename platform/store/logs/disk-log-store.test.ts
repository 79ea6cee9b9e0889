import { appendFile, mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createFakeClock } from "../../test/fakes/fake-clock.ts";
import { describeLogStoreContract } from "../../test/contracts/log-store-contract.ts";
import { aLine, appendNumbers, collectAll, numbersOf, range } from "../../test/support/log-lines.ts";
import { openFilesBelow } from "../../test/support/open-files.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskLogStore } from "./disk-log-store.ts";
import type { LogStore } from "./log-store.ts";

const ID = "env-hello-mf3k2x9a";
const LARGE = 10 * 1024 * 1024;

describeLogStoreContract("disk", async () => {
  const folder = join(await temporaryFolder(), "logs");
  const store = createDiskLogStore({ folder, maxSize: LARGE });
  return {
    store,
    async failNextAppend(id) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, id), "no folder");
      return () => rm(join(folder, id));
    },
    cleanupLines: async () =>
      (await readFile(join(folder, "cleanup.log"), "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
  };
});

async function openStore(maxSize = LARGE, folder?: string): Promise<{ store: LogStore; folder: string; logs: string }> {
  const place = folder ?? join(await temporaryFolder(), "logs");
  const store = createDiskLogStore({ folder: place, maxSize, clock: createFakeClock() });
  onTestFinished(() => store.close());
  return { store, folder: place, logs: join(place, ID) };
}

test("app.log is rotated at its size and keeps three old files, without a split or lost line among them", async () => {
  const { store, logs } = await openStore(4096);
  await appendNumbers(store, ID, 0, 1000);
  expect((await readdir(logs)).sort()).toEqual(["app.log", "app.log.1", "app.log.2", "app.log.3"]);
  for (const file of await readdir(logs)) {
    const content = await readFile(join(logs, file), "utf8");
    expect(content.length).toBeLessThanOrEqual(4096);
    expect(content).toMatch(/^2030-01-0\dT[^\n]* line \d+\n$|^2030[^]*line \d+\n$/);
  }
  const numbers = numbersOf(await store.read(ID, { lines: 10_000 }));
  expect(numbers).toEqual(range(1000 - numbers.length, 1000));
  expect(numbers.length).toBeGreaterThan(200);
});

test("a batch larger than a file is split between lines, and a line larger than a file gets its own", async () => {
  const { store, logs } = await openStore(1024);
  await store.append(ID, [
    ...range(0, 30).map((each) => aLine(each, `line ${each}`)),
    aLine(30, "x".repeat(5000)),
    aLine(31, "line 31"),
  ]);
  const read = await store.read(ID, { lines: 10_000 });
  expect(read?.at(-2)).toHaveLength(aLine(30, "").timestamp.length + " app stdout ".length + 5000);
  expect(numbersOf(read).at(-1)).toBe(31);
  expect((await stat(join(logs, "app.log.1"))).size).toBeGreaterThan(5000);
});

test("append goes on in the same file after a restart, up to the same size", async () => {
  const { store, folder, logs } = await openStore(4096);
  await appendNumbers(store, ID, 0, 30);
  await store.close();
  const later = (await openStore(4096, folder)).store;
  await appendNumbers(later, ID, 30, 100);
  expect(numbersOf(await later.read(ID, { lines: 10_000 }))).toEqual(range(0, 130));
  expect((await stat(join(logs, "app.log.1"))).size).toBeLessThanOrEqual(4096);
});

test("append fails once where app.log was removed, and appendHealth begins its file anew", async () => {
  const { store, logs } = await openStore();
  const check = { timestamp: "2030-01-01T00:00:00.000Z", status: 200, latency_ms: 1, ok: true };
  await appendNumbers(store, ID, 0, 5);
  await store.appendHealth(ID, check);
  await rm(logs, { recursive: true });
  await expect(appendNumbers(store, ID, 5, 6)).rejects.toMatchObject({ code: "storage_failed" });
  expect(await store.resumePoint(ID, "app")).toBeNull();
  await appendNumbers(store, ID, 0, 6);
  expect(numbersOf(await store.read(ID, { lines: 10 }))).toEqual(range(0, 6));
  await store.appendHealth(ID, check);
  expect(await store.readHealth(ID, 10)).toHaveLength(1);
});

test("a half-written last line is not read, and the next append takes its place", async () => {
  const { store, folder, logs } = await openStore();
  await store.append(ID, [aLine(1, "whole")]);
  await store.close();
  await appendFile(join(logs, "app.log"), "2030-01-01T00:00:02.000000000Z app stdout half a li");
  const later = (await openStore(LARGE, folder)).store;
  expect((await later.resumePoint(ID, "app"))?.streams.stdout).toEqual({ timestamp: aLine(1, "").timestamp, count: 1 });
  expect(await later.read(ID, { lines: 9 })).toHaveLength(1);
  await later.append(ID, [aLine(2, "half a line, whole")]);
  expect(await readFile(join(logs, "app.log"), "utf8")).toBe(
    "2030-01-01T00:00:01.000000000Z app stdout whole\n2030-01-01T00:00:02.000000000Z app stdout half a line, whole\n",
  );
});

test("a half-written last line longer than a block is cut off, too", async () => {
  const { store, folder, logs } = await openStore();
  await store.append(ID, [aLine(1, "whole")]);
  await store.close();
  await appendFile(join(logs, "app.log"), "x".repeat(200_000));
  const later = (await openStore(LARGE, folder)).store;
  expect(await later.read(ID, { lines: 9 })).toHaveLength(1);
  await later.append(ID, [aLine(2, "next")]);
  expect((await readFile(join(logs, "app.log"), "utf8")).split("\n")).toHaveLength(3);
});

test("a file with only half a line reads as empty", async () => {
  const { store, logs } = await openStore();
  await mkdir(logs, { recursive: true });
  await writeFile(join(logs, "app.log"), "half");
  expect(await store.read(ID, { lines: 9 })).toEqual([]);
  await store.append(ID, [aLine(1, "x")]);
  expect(await store.read(ID, { lines: 9 })).toHaveLength(1);
});

test("the resume point counts across rotated files, also where app.log is not there yet", async () => {
  const { store, logs } = await openStore(1024);
  await store.append(ID, [
    aLine(0, "before", { service: "db" }),
    ...Array.from({ length: 40 }, () => aLine(5, "same")),
  ]);
  const stamp = aLine(5, "").timestamp;
  expect((await store.resumePoint(ID, "app"))?.streams).toEqual({ stdout: { timestamp: stamp, count: 40 } });
  await store.close();
  await rm(join(logs, "app.log"));
  const later = (await openStore(1024, join(logs, ".."))).store;
  const left = (await later.read(ID, { lines: 1000 }))?.length ?? 0;
  expect((await later.resumePoint(ID, "app"))?.streams.stdout?.count).toBe(left - 1);
});

test("readers and the next rotation pass over the gap that a killed rotation left", async () => {
  const { store, logs } = await openStore(1024);
  await mkdir(logs, { recursive: true });
  await writeFile(join(logs, "app.log.3"), "2030-01-01T00:00:00.000000000Z app stdout line 0\n");
  await writeFile(join(logs, "app.log.1"), "2030-01-01T00:00:01.000000000Z app stdout line 1\n");
  await store.append(ID, [aLine(2, "line 2")]);
  expect(numbersOf(await store.read(ID, { lines: 9 }))).toEqual([0, 1, 2]);
  await appendNumbers(store, ID, 3, 100);
  const numbers = numbersOf(await store.read(ID, { lines: 100 }));
  expect(numbers).toEqual(range(103 - numbers.length, 103));
});

test("lines of another form are read without a filter, and left out by service, time and resume point", async () => {
  const { store, logs } = await openStore();
  await mkdir(logs, { recursive: true });
  await writeFile(
    join(logs, "app.log"),
    Buffer.concat([Buffer.from("garbage\n\n  \n2030 app stdin x\n"), Buffer.from([0xff, 0xfe, 0, 0x0a])]),
  );
  expect(await store.read(ID, { lines: 9 })).toHaveLength(5);
  expect(await store.read(ID, { lines: 9, service: "app" })).toEqual([]);
  expect(await store.read(ID, { lines: 9, since: 0 })).toEqual([]);
  expect(await store.resumePoint(ID, "app")).toBeNull();
});

test("a read during appends and rotations gives every line once and in order", async () => {
  const { store } = await openStore(2048);
  const progress = { appended: 0 };
  const appending = (async () => {
    for (; progress.appended < 3000; progress.appended += 10) await appendNumbers(store, ID, progress.appended, 10);
  })();
  while (progress.appended < 3000) {
    const numbers = numbersOf(await store.read(ID, { lines: 10_000 }));
    expect(numbers).toEqual(range(numbers[0] ?? 0, (numbers[0] ?? 0) + numbers.length));
  }
  await appending;
});

test("no file stays open after an archive, a discard, a close, a read, or the end of a follower", async () => {
  const { store, folder } = await openStore(1024);
  const check = { timestamp: "2030-01-01T00:00:00.000Z", status: 200, latency_ms: 1, ok: true };
  for (const id of ["env-a-1", "env-b-1", "env-c-1"]) {
    await store.append(
      id,
      range(0, 60).map((each) => aLine(each, `line ${each}`)),
    );
    await store.appendHealth(id, check);
    await store.read(id, { lines: 1 });
    await store.readHealth(id, 1);
    await store.resumePoint(id, "app");
    for await (const _ of store.follow(id, { lines: 5 }, new AbortController().signal)) break;
  }
  await store.appendCleanup({});
  expect(await openFilesBelow(folder)).toHaveLength(7);
  await store.archive("env-a-1");
  await store.discard("env-b-1");
  expect(await openFilesBelow(folder)).toHaveLength(3);
  await store.close();
  expect(await openFilesBelow(folder)).toEqual([]);
});

test("archive moves the files, and merges those that a cut-short archiving left as newer ones", async () => {
  const { store, folder, logs } = await openStore();
  await store.append(ID, [aLine(1, "line 1")]);
  await store.archive(ID);
  expect(await readdir(join(folder, "archived", ID))).toEqual(["app.log"]);
  await mkdir(logs);
  await writeFile(join(logs, "app.log.1"), "2030-01-01T00:00:02.000000000Z app stdout line 2\n");
  await writeFile(join(logs, "app.log"), "2030-01-01T00:00:03.000000000Z app stdout line 3\n");
  await writeFile(
    join(logs, "health.log"),
    '{"timestamp":"2030-01-01T00:00:03.000Z","status":200,"latency_ms":1,"ok":true}\n',
  );
  expect(await store.list()).toEqual([ID]);
  await store.archive(ID);
  expect(await store.list()).toEqual([]);
  expect(numbersOf(await store.read(ID, { lines: 9 }))).toEqual([1, 2, 3]);
  expect(await store.readHealth(ID, 9)).toHaveLength(1);
});

test("archive throws where the folder cannot be moved, and succeeds once it can", async () => {
  const { store, folder } = await openStore();
  await store.append(ID, [aLine(1, "line 1")]);
  await writeFile(join(folder, "archived"), "no folder");
  await expect(store.archive(ID)).rejects.toMatchObject({ code: "storage_failed" });
  expect(numbersOf(await store.read(ID, { lines: 9 }))).toEqual([1]);
  await store.append(ID, [aLine(2, "line 2")]);
  await rm(join(folder, "archived"));
  await store.archive(ID);
  expect(numbersOf(await store.read(ID, { lines: 9 }))).toEqual([1, 2]);
});

test("archived logs and checks are read after a restart", async () => {
  const { store, folder } = await openStore();
  const check = { timestamp: "2030-01-01T00:00:00.000Z", status: 503, latency_ms: 1.5, ok: false, error: "x" };
  await store.append(ID, [aLine(1, "line 1")]);
  await store.appendHealth(ID, check);
  await store.archive(ID);
  await store.close();
  const later = (await openStore(LARGE, folder)).store;
  expect(numbersOf(await later.read(ID, { lines: 9 }))).toEqual([1]);
  expect(await later.readHealth(ID, 10)).toEqual([check]);
  expect(numbersOf(await collectAll(later.follow(ID, { lines: 9 }, new AbortController().signal)))).toEqual([1]);
});

test("health.log holds a JSON object a line, is rotated, and is read across its files and over broken lines", async () => {
  const { store, folder, logs } = await openStore();
  const check = { timestamp: "2030-01-01T00:00:00.000Z", status: 200, latency_ms: 3.1, ok: true };
  await store.appendHealth(ID, check);
  expect(await readFile(join(logs, "health.log"), "utf8")).toBe(`${JSON.stringify(check)}\n`);
  await store.close();
  await appendFile(
    join(logs, "health.log"),
    `not json\n{"timestamp":1}\n{"padding":"${"x".repeat(1024 * 1024)}"}\n{"half`,
  );
  const later = (await openStore(LARGE, folder)).store;
  await later.appendHealth(ID, { ...check, status: 500, ok: false });
  expect((await readdir(logs)).sort()).toEqual(["health.log", "health.log.1"]);
  expect((await later.readHealth(ID, 10)).map(({ status }) => status)).toEqual([200, 500]);
});

test("cleanup.log holds one timestamped JSON line for each action and is rotated", async () => {
  const { store, folder } = await openStore(1024);
  await store.appendCleanup({ action: "destroyed", env_id: ID, timestamp: "forged" });
  expect(await readFile(join(folder, "cleanup.log"), "utf8")).toBe(
    `{"timestamp":"2030-01-01T00:00:00.000Z","action":"destroyed","env_id":"${ID}"}\n`,
  );
  for (let round = 0; round < 100; round++) await store.appendCleanup({ action: "expired", round });
  expect((await readdir(folder)).filter((name) => name.startsWith("cleanup.log"))).toHaveLength(4);
});

test("list leaves out entries that are no environment's folder", async () => {
  const { store, folder } = await openStore();
  await mkdir(join(folder, "archived"), { recursive: true });
  await mkdir(join(folder, "env-"), { recursive: true });
  await writeFile(join(folder, "env-file-1"), "");
  await mkdir(join(folder, "env-folder-1"));
  expect(await store.list()).toEqual(["env-folder-1"]);
});

test("a million empty lines are searched in bounded memory", { timeout: 60_000 }, async () => {
  const { store, logs } = await openStore();
  await mkdir(logs, { recursive: true });
  const file = await open(join(logs, "app.log"), "w");
  const block = Buffer.from("2 a stdout\n".repeat(10_000));
  for (let written = 0; written < 100; written++) await file.write(block);
  await file.close();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let peak = 0;
  const watch = setInterval(() => void (peak = Math.max(peak, process.memoryUsage().rss - before)), 5);
  onTestFinished(() => clearInterval(watch));
  expect(await store.read(ID, { lines: 10_000, grep: "nowhere" })).toEqual([]);
  expect(await store.read(ID, { lines: 10_000 })).toHaveLength(10_000);
  expect(await store.resumePoint(ID, "app")).toBeNull();
  expect(peak).toBeLessThan(80 * 1024 * 1024);
});
