import { mkdir, rm, rename, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aRecord } from "../../test/support/record.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskEnvironmentStore } from "./disk-environment-store.ts";

const idsOf = (found: { id: string }[]) => found.map(({ id }) => id).toSorted();

async function loadedWith(files: Record<string, string>) {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const store = createDiskEnvironmentStore({ folder });
  await store.load();
  return { folder, store };
}

test("an environment whose file is in quarantine or cannot be read is named until the file is gone", async () => {
  const { folder, store } = await loadedWith({
    "env-broken-1.json": "{",
    "env-good-1.json": JSON.stringify(aRecord({ id: "env-good-1" })),
    "notes.json": "{}",
  });
  await symlink(join(folder, "nowhere"), join(folder, "env-dangling-1.json"));
  expect(idsOf(await store.quarantined())).toEqual(["env-broken-1", "env-dangling-1"]);
  await rm(join(folder, "quarantine"), { recursive: true });
  await rm(join(folder, "env-dangling-1.json"));
  expect(await store.quarantined()).toEqual([]);
});

test("a file moved back to its place counts from that moment on, until it is loaded", async () => {
  const { folder, store } = await loadedWith({});
  const outside = join(await temporaryFolder(), "kept");
  await writeFile(outside, JSON.stringify(aRecord()));
  await utimes(outside, 0, 0);
  const before = Date.now() - 1000;
  await rename(outside, join(folder, `${aRecord().id}.json`));
  const [found] = await store.quarantined();
  expect(found?.id).toBe(aRecord().id);
  expect(found?.since).toBeGreaterThan(before);
  await store.load();
  expect(await store.quarantined()).toEqual([]);
});

test("an environment that has a record again is not in quarantine, also where a file of it still is", async () => {
  const { folder, store } = await loadedWith({ [`${aRecord().id}.json`]: "" });
  expect(idsOf(await store.quarantined())).toEqual([aRecord().id]);
  await store.save(aRecord());
  expect(await store.quarantined()).toEqual([]);
  await mkdir(join(folder, "quarantine", "env-odd-1.json"));
  expect(idsOf(await store.quarantined())).toEqual(["env-odd-1"]);
});
