import { appendFile, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createFakeClock } from "../../test/fakes/fake-clock.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskAuditLog } from "./disk-audit-log.ts";
import { createFakeAuditLog } from "../../test/fakes/fake-audit-log.ts";
import type { AuditLog } from "./audit-log.ts";

const entry = (what: string) => ({
  who: "ann",
  role: "member" as const,
  what,
  env_id: "env-a-1",
  from: "127.0.0.1",
  result: 200,
  request_id: "r-1",
});

function openLog(folder: string, maxSize = 1024 * 1024): AuditLog {
  const log = createDiskAuditLog({ folder, maxSize, clock: createFakeClock() });
  onTestFinished(() => log.close());
  return log;
}

describe.each([
  ["disk", async () => openLog(await temporaryFolder())],
  ["fake", async () => createFakeAuditLog()],
])("AuditLog contract: %s", (_name, makeLog) => {
  test("read gives the last entries, oldest first", async () => {
    const log = await makeLog();
    expect(await log.read(10)).toEqual([]);
    for (const what of ["create", "extend", "destroy"]) log.append(entry(what));
    expect((await log.read(2)).map(({ what }) => what)).toEqual(["extend", "destroy"]);
    expect((await log.read(10))[0]).toEqual({ timestamp: expect.stringMatching(/^20.*Z$/), ...entry("create") });
  });

  test("read gives the last entry of each change: its end, or the request where it has not ended", async () => {
    const log = await makeLog();
    const change = (what: string, change_id: string, result: string | number) => ({
      ...entry(what),
      change_id,
      result,
    });
    log.append(change("create", "1", "asked"));
    log.append(change("destroy", "2", "asked"));
    log.append(change("create", "1", 201));
    log.append(change("extend", "3", "asked"));
    log.append(change("extend", "3", 200));
    expect((await log.read(10)).map(({ what, result }) => [what, result])).toEqual([
      ["destroy", "asked"],
      ["create", 201],
      ["extend", 200],
    ]);
    expect((await log.read(2)).map(({ what }) => what)).toEqual(["create", "extend"]);
  });
});

test("read gives entries of before a restart and a rotation, and leaves out a line that is none", async () => {
  const folder = await temporaryFolder();
  const log = openLog(folder, 400);
  for (let i = 0; i < 10; i++) log.append(entry(`change ${i}`));
  await log.close();
  await appendFile(join(folder, "audit.jsonl"), "edited by hand\n");
  expect((await readdir(folder)).length).toBeGreaterThan(2);
  const later = openLog(folder, 400);
  expect((await later.read(4)).map(({ what }) => what)).toEqual(["change 6", "change 7", "change 8", "change 9"]);
  expect(await readFile(join(folder, "audit.jsonl"), "utf8")).toContain("edited by hand");
});

test("an entry is in the file once flush has resolved", async () => {
  const folder = await temporaryFolder();
  const log = openLog(folder);
  log.append(entry("create"));
  await log.flush();
  expect(await readFile(join(folder, "audit.jsonl"), "utf8")).toContain('"create"');
});

test("the logger is told of a folder that cannot be written to, and append does not throw", async () => {
  const told: unknown[] = [];
  const file = join(await temporaryFolder(), "a-file");
  await appendFile(file, "");
  const log = createDiskAuditLog({
    folder: join(file, "logs"),
    maxSize: 1024,
    logger: { error: (...args: unknown[]) => void told.push(args) },
  });
  log.append(entry("create"));
  await log.flush();
  expect(await log.read(10)).toEqual([]);
  expect(told).toHaveLength(1);
});

test("the logger is told once of entries that are lost because too many wait, until one is written again", async () => {
  const told: unknown[] = [];
  const folder = await temporaryFolder();
  const file = join(folder, "logs");
  await appendFile(file, "");
  const logger = { error: (...args: unknown[]) => void told.push(args.at(-1)) };
  const log = createDiskAuditLog({ folder: file, maxSize: 1_000_000, logger });
  const append = (count: number) => Array.from({ length: count }, () => log.append(entry("create")));
  const losses = () => told.filter((words) => /oldest are lost/.test(String(words))).length;
  append(1_000);
  await log.flush();
  expect(losses()).toBe(0);
  append(5);
  await log.flush();
  expect(losses()).toBe(1);
  await rm(file);
  await log.flush();
  expect(await log.read(10_000)).toHaveLength(1_000);
  append(1_001);
  expect(losses()).toBe(2);
  await log.close();
});
