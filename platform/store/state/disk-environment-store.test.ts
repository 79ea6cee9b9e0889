import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createFakeClock } from "../../test/fakes/fake-clock.ts";
import { describeEnvironmentStoreContract } from "../../test/contracts/environment-store-contract.ts";
import { aRecord } from "../../test/support/record.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { createDiskEnvironmentStore } from "./disk-environment-store.ts";

describeEnvironmentStoreContract("disk", async () => {
  const folder = join(await temporaryFolder(), "envs");
  await mkdir(folder);
  return {
    store: createDiskEnvironmentStore({ folder }),
    async failNextWrite() {
      await rename(folder, `${folder}.away`);
      await writeFile(folder, "no folder");
    },
    reopen: async () => createDiskEnvironmentStore({ folder }),
  };
});

/** Loads a folder that holds these files; the clock stands at 2030-01-01T00:00:00.000Z. */
async function loadFolder(files: Record<string, string>) {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const store = createDiskEnvironmentStore({ folder, clock: createFakeClock() });
  return { folder, store, ...(await store.load()) };
}

const asFile = (record: object) => JSON.stringify(record);

test("load makes a missing state folder", async () => {
  const folder = join(await temporaryFolder(), "a", "envs");
  expect(await createDiskEnvironmentStore({ folder }).load()).toEqual({ loaded: 0, quarantined: [] });
  expect((await stat(folder)).isDirectory()).toBe(true);
});

test("a state file is JSON that only the platform's user may read", async () => {
  const folder = await temporaryFolder();
  const record = aRecord();
  await createDiskEnvironmentStore({ folder }).save(record);
  const path = join(folder, `${record.id}.json`);
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual(record);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual([`${record.id}.json`]);
});

test.each([
  ["is empty", ""],
  ["is empty", " \n"],
  ["is not a JSON object with a version", "{"],
  ["is not a JSON object with a version", "null"],
  ["is not a JSON object with a version", "[]"],
  ["is not a JSON object with a version", "\u0000\u0000\u0000\u0000"],
  ["is not a JSON object with a version", '{"version":"1"}'],
  ["is not a JSON object with a version", '{"version":-1}'],
  ["has version 0; this platform reads version 2", asFile({ ...aRecord(), version: 0 })],
  ["has version 3; this platform reads version 2", asFile({ ...aRecord(), version: 3 })],
  ["is not a record: services: ", asFile({ ...aRecord(), services: [] })],
  ["is not a record: ttl: ", asFile({ ...aRecord(), ttl: "soon", expires_at: 5 })],
  ["is not a record: ", asFile({ ...aRecord(), surprise: true })],
  ['holds another environment, "env-other-1"', asFile(aRecord({ id: "env-other-1" }))],
])("a file that %s is moved to the quarantine whole", async (reason, content) => {
  const name = `${aRecord().id}.json`;
  const { folder, store, loaded, quarantined } = await loadFolder({
    [name]: content,
    "env-good-1.json": asFile(aRecord({ id: "env-good-1" })),
  });
  expect(loaded).toBe(1);
  expect(store.all().map(({ id }) => id)).toEqual(["env-good-1"]);
  expect(quarantined).toEqual([{ file: name, reason: expect.stringContaining(reason) }]);
  const place = `${name}.2030-01-01T00-00-00.000Z`;
  expect(quarantined[0]?.reason).toContain(`moved to quarantine/${place}`);
  expect(await readFile(join(folder, "quarantine", place), "utf8")).toBe(content);
  expect(await readdir(folder)).toEqual(["env-good-1.json", "quarantine"]);
});

test("a file whose name is no environment's is moved to the quarantine", async () => {
  const { quarantined } = await loadFolder({ "notes.json": asFile(aRecord()), "..json": "{}", "env-UPPER.json": "{}" });
  expect(quarantined.map(({ file }) => file).sort()).toEqual(["..json", "env-UPPER.json", "notes.json"]);
  for (const { reason } of quarantined) expect(reason).toContain("is not named after an environment");
});

test("a file far too large to be a record is moved to the quarantine unread", async () => {
  const { quarantined } = await loadFolder({ "env-big-1.json": " ".repeat(5 * 1024 * 1024) });
  expect(quarantined[0]?.reason).toContain("is too large");
});

test("a file that is moved to the quarantine overwrites none that is there", async () => {
  const folder = await temporaryFolder();
  const name = "env-broken-1.json";
  const store = createDiskEnvironmentStore({ folder, clock: createFakeClock() });
  for (const content of ["first", "second", "third"]) {
    await writeFile(join(folder, name), content);
    await store.load();
  }
  const kept = await readdir(join(folder, "quarantine"));
  const contents = await Promise.all(kept.map((file) => readFile(join(folder, "quarantine", file), "utf8")));
  expect(contents.sort()).toEqual(["first", "second", "third"]);
});

test("a state file that cannot be read is reported and left where it is", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "env-folder-1.json"));
  await symlink(join(folder, "nowhere"), join(folder, "env-dangling-1.json"));
  const { loaded, quarantined } = await createDiskEnvironmentStore({ folder }).load();
  expect(loaded).toBe(0);
  expect(quarantined).toEqual([
    { file: "env-dangling-1.json", reason: "cannot be read (ENOENT); left where it is" },
    { file: "env-folder-1.json", reason: "is not a file; left where it is" },
  ]);
  expect(await readdir(folder)).toHaveLength(2);
});

test("a file that cannot be moved to the quarantine is reported and left, and load succeeds", async () => {
  const { folder, store } = await loadFolder({ "env-good-1.json": asFile(aRecord({ id: "env-good-1" })) });
  await writeFile(join(folder, "quarantine"), "no folder");
  await writeFile(join(folder, "env-broken-1.json"), "{");
  const { quarantined } = await store.load();
  expect(quarantined[0]?.reason).toContain("left where it is, since it cannot be moved");
  expect(await readFile(join(folder, "env-broken-1.json"), "utf8")).toBe("{");
});

test("load removes half-written files of a killed process and leaves other files alone", async () => {
  const { folder, quarantined } = await loadFolder({
    ".env-a-1.json.0123456789abcdef.tmp": '{"ver',
    ".gitkeep": "",
    "README.txt": "hello",
  });
  expect(quarantined).toEqual([]);
  expect(await readdir(folder)).toEqual([".gitkeep", "README.txt"]);
});

test("load takes no probe file of a killed check for a state file", async () => {
  const { folder, quarantined, store } = await loadFolder({ ".write-check": "" });
  expect(quarantined).toEqual([]);
  expect(await store.check()).toMatchObject({ ok: true });
  expect(await readdir(folder)).toEqual([]);
});

test("a state folder that is removed under the store is made anew by the next write", async () => {
  const { folder, store } = await loadFolder({ "env-good-1.json": asFile(aRecord({ id: "env-good-1" })) });
  await rm(folder, { recursive: true });
  expect(await store.check()).toMatchObject({ ok: true });
  expect(await store.damaged()).toEqual(["env-good-1"]);
  await store.save(aRecord({ id: "env-good-1" }));
  expect(await createDiskEnvironmentStore({ folder }).load()).toEqual({ loaded: 1, quarantined: [] });
});

test("restoreSentinel writes the sentinel of the start where it is gone, and leaves another one alone", async () => {
  const { folder, store } = await loadFolder({ ".sentinel": "as it was" });
  await rm(folder, { recursive: true });
  await store.save(aRecord());
  expect(await readdir(folder)).toEqual([`${aRecord().id}.json`]);
  await store.restoreSentinel();
  expect(await readFile(join(folder, ".sentinel"), "utf8")).toBe("as it was");
  await writeFile(join(folder, ".sentinel"), "another");
  await store.restoreSentinel();
  expect(await readFile(join(folder, ".sentinel"), "utf8")).toBe("another");
  const without = await loadFolder({});
  await without.store.restoreSentinel();
  expect(await readdir(without.folder)).toEqual([]);
});

test("two hundred environments saved at once are loaded again", async () => {
  const folder = await temporaryFolder();
  const ids = Array.from({ length: 200 }, (_, index) => `env-many-${String(index).padStart(3, "0")}`);
  const store = createDiskEnvironmentStore({ folder });
  await Promise.all(ids.map((id) => store.save(aRecord({ id }))));
  const later = createDiskEnvironmentStore({ folder });
  expect(await later.load()).toEqual({ loaded: 200, quarantined: [] });
  expect(later.all().map(({ id }) => id)).toEqual(ids);
});

test("damaged names files that are gone or hold no record any more, and no edited ones", async () => {
  const { folder, store } = await loadFolder({});
  for (const id of ["env-fine-1", "env-edited-1", "env-removed-1", "env-cut-1", "env-empty-1"]) {
    await store.save(aRecord({ id }));
  }
  const pathOf = (id: string) => join(folder, `${id}.json`);
  expect(await store.damaged()).toEqual([]);
  await writeFile(pathOf("env-edited-1"), asFile(aRecord({ id: "env-edited-1", name: "edited" })));
  await rm(pathOf("env-removed-1"));
  await writeFile(pathOf("env-cut-1"), asFile(aRecord({ id: "env-cut-1" })).slice(0, 40));
  await writeFile(pathOf("env-empty-1"), "");
  expect((await store.damaged()).sort()).toEqual(["env-cut-1", "env-empty-1", "env-removed-1"]);
});
