import { appendFile, mkdir, open, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskArchiveStore } from "./disk-archive-store.ts";
import { createDiskSpace } from "../../host/disk-space.ts";

const WHEN = Date.UTC(2030, 0, 1);

async function anArchive(folder: string, id: string, files: Record<string, number>): Promise<string> {
  const place = join(folder, "archived", id);
  await mkdir(place, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(join(place, name), "x".repeat(bytes));
    await utimes(join(place, name), WHEN / 1000, WHEN / 1000);
  }
  return place;
}

test("archives are listed with their size and the time of their last line", async () => {
  const folder = await temporaryFolder();
  const store = createDiskArchiveStore({ folder });
  expect(await store.list()).toEqual([]);
  await anArchive(folder, "env-a-1", { "app.log": 10, "app.log.1": 100, "health.log": 5 });
  await anArchive(folder, "env-empty-1", {});
  await writeFile(join(folder, "archived", "env-file-1"), "no folder");
  await mkdir(join(folder, "archived", "notes"));
  const found = await store.list();
  expect(found.map(({ id }) => id).toSorted()).toEqual(["env-a-1", "env-empty-1"]);
  expect(found.find(({ id }) => id === "env-a-1")).toEqual({ id: "env-a-1", bytes: 115, lastWritten: WHEN });
});

test("a removed archive is gone at once, and a reader that has its file open reads on", async () => {
  const folder = await temporaryFolder();
  const store = createDiskArchiveStore({ folder });
  const place = await anArchive(folder, "env-a-1", { "app.log": 10 });
  await anArchive(folder, "env-b-1", { "app.log": 10 });
  const reader = await open(join(place, "app.log"), "r");
  await store.remove("env-a-1");
  await store.remove("env-a-1");
  expect(await readdir(join(folder, "archived"))).toEqual(["env-b-1"]);
  expect((await store.list()).map(({ id }) => id)).toEqual(["env-b-1"]);
  expect((await reader.readFile("utf8")).length).toBe(10);
  await reader.close();
  await expect(store.remove("../archived")).rejects.toMatchObject({ code: "internal_error" });
});

test("list measures an id that is archived again anew, and finishes a removal that a kill cut short", async () => {
  const folder = await temporaryFolder();
  const store = createDiskArchiveStore({ folder });
  await anArchive(folder, "env-a-1", { "app.log": 10 });
  expect((await store.list())[0]?.bytes).toBe(10);
  await store.remove("env-a-1");
  await anArchive(folder, "env-a-1", { "app.log": 20 });
  await mkdir(join(folder, "archived", ".leaving-x"));
  await appendFile(join(folder, "archived", ".leaving-x", "app.log"), "rest");
  expect((await store.list())[0]?.bytes).toBe(20);
  expect(await readdir(join(folder, "archived"))).toEqual(["env-a-1"]);
});

test("free space is told in bytes, also where a folder is yet to be made", async () => {
  const folder = await temporaryFolder();
  const { state, logs } = await createDiskSpace({ state: folder, logs: join(folder, "yet", "to-be-made") }).free();
  expect(state).toBeGreaterThan(0);
  expect(Math.abs(logs - state)).toBeLessThan(2 ** 30);
  await writeFile(join(folder, "file"), "");
  const wrong = createDiskSpace({ state: folder, logs: join(folder, "file", "below") });
  await expect(wrong.free()).rejects.toMatchObject({ code: "storage_failed" });
});
