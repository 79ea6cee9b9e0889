import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { PlatformEvent } from "../../domain/events.ts";
import { createFakeClock } from "../../test/fakes/fake-clock.ts";
import { describeEventLogContract } from "../../test/contracts/event-log-contract.ts";
import { openFilesBelow } from "../../test/support/open-files.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskEventLog } from "./disk-event-log.ts";
import type { EventLog } from "./event-log.ts";

describeEventLogContract("disk", async () =>
  createDiskEventLog({ folder: join(await temporaryFolder(), "logs"), maxSize: 1024 * 1024 }),
);

/** A log in `folder` with a clock of its own and the warnings it gave. */
async function openLog(folder: string, maxSize = 1024 * 1024): Promise<{ log: EventLog; warnings: unknown[] }> {
  const warnings: unknown[] = [];
  const logger = { warn: (...args: unknown[]) => void warnings.push(args) };
  const log = await createDiskEventLog({ folder, maxSize, clock: createFakeClock(), logger });
  onTestFinished(() => log.close());
  return { log, warnings };
}

const emit = (log: EventLog, times = 1) =>
  Array.from({ length: times }, (_, index) => log.emit({ type: "environment.running", env_id: `env-${index}` }));

async function readEvents(folder: string, file = "events.jsonl"): Promise<PlatformEvent[]> {
  const text = await readFile(join(folder, file), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

const line = (id: number) => `{"id":${id},"timestamp":"2030-01-01T00:00:00.000Z","type":"x.unknown","env_id":null}\n`;

async function replay(log: EventLog): Promise<number[]> {
  const stop = new AbortController();
  const ids: number[] = [];
  const last = log.emit({ type: "platform.started", env_id: null });
  for await (const { id } of log.subscribe(0, stop.signal)) {
    if (id === last.id) break;
    ids.push(id);
  }
  return ids;
}

test("close leaves every event in the file, a line of JSON each, in the order of the calls", async () => {
  const folder = await temporaryFolder();
  const { log } = await openLog(folder);
  const events = emit(log, 500);
  await log.close();
  expect(await readEvents(folder)).toEqual(events);
  expect(events[0]).toEqual({
    id: 1,
    timestamp: "2030-01-01T00:00:00.000Z",
    type: "environment.running",
    env_id: "env-0",
  });
  expect(await openFilesBelow(folder)).toEqual([]);
});

test("ids go on after a restart and the last thousand events are held again, past a half-written line", async () => {
  const folder = await temporaryFolder();
  const first = (await openLog(folder)).log;
  emit(first, 1200);
  await first.close();
  await appendFile(join(folder, "events.jsonl"), '{"id":9999,"timest');
  const { log } = await openLog(folder);
  expect(await replay(log)).toEqual(Array.from({ length: 999 }, (_, index) => 202 + index));
  await log.close();
  expect((await readEvents(folder)).at(-1)?.id).toBe(1201);
});

test("events.jsonl is rotated at its size, keeps three old files, and ids go on from all of them", async () => {
  const folder = await temporaryFolder();
  const { log } = await openLog(folder, 1024);
  emit(log, 100);
  await log.close();
  expect((await readdir(folder)).sort()).toEqual([
    "events.jsonl",
    "events.jsonl.1",
    "events.jsonl.2",
    "events.jsonl.3",
  ]);
  for (const file of await readdir(folder)) expect((await stat(join(folder, file))).size).toBeLessThanOrEqual(1024);
  await rm(join(folder, "events.jsonl"));
  const lastKept = (await readEvents(folder, "events.jsonl.1")).at(-1)?.id ?? 0;
  const later = (await openLog(folder, 1024)).log;
  expect(emit(later)[0]?.id).toBe(lastKept + 1);
});

test("a start leaves out lines that are no events or whose ids go backwards", async () => {
  const folder = await temporaryFolder();
  await writeFile(
    join(folder, "events.jsonl"),
    `garbage\n${line(3)}\n{"id":"7"}\n${line(9)}${line(5)}${line(6)}null\n`,
  );
  const { log } = await openLog(folder);
  expect(await replay(log)).toEqual([3, 5, 6]);
});

test("events that the disk refuses are told of once and written with the next event", async () => {
  const parent = await temporaryFolder();
  const folder = join(parent, "logs");
  const { log, warnings } = await openLog(folder);
  await writeFile(folder, "no folder");
  const events = emit(log, 50);
  await log.close();
  expect(warnings).toHaveLength(1);
  await rm(folder);
  events.push(...emit(log));
  await log.close();
  expect(await readEvents(folder)).toEqual(events);
});

test("the oldest unwritten events are given up when more than a thousand wait for the disk", async () => {
  const parent = await temporaryFolder();
  const folder = join(parent, "logs");
  const { log } = await openLog(folder);
  await writeFile(folder, "no folder");
  emit(log, 5000);
  await log.close();
  await rm(folder);
  emit(log);
  await log.close();
  expect((await readEvents(folder)).map(({ id }) => id)).toEqual(
    Array.from({ length: 1000 }, (_, index) => 4002 + index),
  );
});

test("a log whose file cannot be read starts, and its ids still ascend", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "events.jsonl"));
  const { log, warnings } = await openLog(folder);
  expect(warnings).toHaveLength(1);
  expect(emit(log)[0]?.id).toBeGreaterThan(Date.UTC(2030, 0, 1));
});

test("event data without a JSON form is replaced, in the file and for subscribers", async () => {
  const folder = await temporaryFolder();
  const { log } = await openLog(folder);
  const event = log.emit({ type: "environment.failed", env_id: null, data: { big: 1n } });
  expect(event.data).toEqual({ unserialisable: true });
  await log.close();
  expect(await readEvents(folder)).toEqual([event]);
});
