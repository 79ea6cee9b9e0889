import { execFile } from "node:child_process";
import { mkdir, readFile, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import { delay } from "../../kernel/delay.ts";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { flagOf, openConfFolder, RELOAD_MARK, type ConfFolder } from "./conf-folder.ts";

const run = promisify(execFile);
let path = "";
let folder: ConfFolder;

const put = (name: string, text = "x") => writeFile(join(path, name), text);
const names = () => [...folder.fingerprints().keys()].sort();

beforeEach(async () => {
  path = await temporaryFolder();
  folder = openConfFolder(path);
});

describe("openConfFolder", () => {
  it("makes the folder where it is missing, and throws storage_failed where it cannot", async () => {
    openConfFolder(join(path, "a", "b"));
    expect(await readdir(join(path, "a"))).toEqual(["b"]);
    await put("file");
    expect(() => openConfFolder(join(path, "file", "b"))).toThrow(expect.objectContaining({ code: "storage_failed" }));
  });

  it("removes the reload mark that a killed platform left", async () => {
    await folder.touch(RELOAD_MARK);
    openConfFolder(path);
    expect(await readdir(path)).toEqual([]);
  });
});

describe("fingerprints", () => {
  it("are of the names that Nginx includes, and of no other", async () => {
    for (const name of [
      "env-a.conf",
      "other.conf",
      ".hidden.conf",
      ".env-a.conf.1.2.tmp",
      ".gitkeep",
      "env-a.conf.bak",
    ])
      await put(name);
    expect(names()).toEqual(["env-a.conf", "other.conf"]);
  });

  it("change with each file that is written anew, and are null for what is no plain file", async () => {
    for (const name of ["env-a.conf", "theirs.conf", "target"]) await put(name, "one");
    await symlink("target", join(path, "link.conf"));
    await symlink("nowhere", join(path, "dead.conf"));
    await mkdir(join(path, "folder.conf"));
    await run("mkfifo", [join(path, "pipe.conf")]);
    const before = folder.fingerprints();
    const plain = [...before].filter(([, fingerprint]) => fingerprint !== null).map(([name]) => name);
    expect(plain.sort()).toEqual(["env-a.conf", "link.conf", "theirs.conf"]);
    expect(before.size).toBe(6);
    expect(folder.fingerprints()).toEqual(before);
    await folder.write("env-a.conf", "one");
    await put("target", "more");
    const after = folder.fingerprints();
    expect(plain.filter((name) => after.get(name) !== before.get(name))).toEqual(["env-a.conf", "link.conf"]);
  });

  it("are none where the folder was removed, which is made anew, and storage_failed where it cannot be", async () => {
    await rm(path, { recursive: true });
    expect(names()).toEqual([]);
    expect(await readdir(path)).toEqual([]);
    await rm(path, { recursive: true });
    await writeFile(path, "in the way");
    expect(names).toThrow(expect.objectContaining({ code: "storage_failed" }));
  });
});

describe("a file of the folder", () => {
  it("is read as its text, and as null where it is absent or no plain file", async () => {
    await folder.write("env-a.conf", "text");
    await mkdir(join(path, "env-folder.conf"));
    await run("mkfifo", [join(path, "env-pipe.conf")]);
    expect(await folder.read("env-a.conf")).toBe("text");
    for (const name of ["b", "folder", "pipe"]) expect(await folder.read(`env-${name}.conf`)).toBe(null);
  });

  it("is removed also where it is a link or a folder, or absent", async () => {
    await put("env-a.conf");
    await symlink("/nowhere", join(path, "env-b.conf"));
    await mkdir(join(path, "env-c.conf", "full"), { recursive: true });
    for (const name of ["env-a.conf", "env-b.conf", "env-c.conf", "env-d.conf"]) await folder.remove(name);
    expect(names()).toEqual([]);
  });
});

describe("enabled flags", () => {
  it("are empty files of environments, and none where their folder is missing", async () => {
    expect(folder.enabledIds()).toEqual([]);
    for (let times = 0; times < 2; times++) await folder.touch(flagOf("env-a"));
    expect(await readFile(join(path, "enabled", "env-a"), "utf8")).toBe("");
    await mkdir(join(path, "enabled", "env-folder"));
    for (const name of ["env-b.conf", "stranger"]) await put(join("enabled", name));
    expect(folder.enabledIds()).toEqual(["env-a"]);
    await folder.remove(flagOf("env-a"));
    expect(folder.enabledIds()).toEqual([]);
  });

  it.each([
    ["a file", (place: string) => writeFile(place, "theirs")],
    ["a link to nowhere", (place: string) => symlink("/nowhere/at/all", place)],
    ["a pipe", (place: string) => run("mkfifo", [place])],
  ])("are none where %s is in their folder's place, which the next flag has quarantined", async (_what, obstruct) => {
    await obstruct(join(path, "enabled"));
    expect(folder.enabledIds()).toEqual([]);
    await folder.remove(flagOf("env-a"));
    await Promise.all(["env-a", "env-b"].map((id) => folder.touch(flagOf(id))));
    expect(folder.enabledIds().sort()).toEqual(["env-a", "env-b"]);
    expect(await readdir(join(path, "rejected"))).toEqual([expect.stringMatching(/^enabled\./)]);
  });

  it("fail with storage_failed where the folder cannot be had", async () => {
    await rm(path, { recursive: true });
    await writeFile(path, "in the way");
    await expect(folder.touch(flagOf("env-b"))).rejects.toMatchObject({ code: "storage_failed" });
  });
});

describe("a quarantined file", () => {
  const rejected = async () => (await readdir(join(path, "rejected"))).sort();

  it("overwrites none that was quarantined before, and one that is absent is reported as such", async () => {
    for (const text of ["one", "two", "three"]) {
      await folder.write("env-a.conf", text);
      expect(await folder.quarantine("env-a.conf")).toBe(true);
    }
    expect(await folder.quarantine("env-a.conf")).toBe(false);
    const texts = await Promise.all((await rejected()).map((name) => readFile(join(path, "rejected", name), "utf8")));
    expect(texts.sort()).toEqual(["one", "three", "two"]);
    expect(names()).toEqual([]);
  });

  it("that is a pipe lets go the process that waits to read it", async () => {
    const pipe = join(path, "pipe.conf");
    await run("mkfifo", [pipe]);
    await folder.quarantine("pipe.conf");
    const place = join(path, "rejected", (await rejected())[0] ?? "");
    const reading = readFile(place, "utf8");
    const settled = reading.then(() => true);
    // Whether it waits yet cannot be seen: the pipe is quarantined again until its reader is let go.
    let last = place;
    while (!(await Promise.race([settled, delay(5)]))) {
      await rename(last, pipe);
      await folder.quarantine("pipe.conf");
      last = join(path, "rejected", (await rejected())[0] ?? "");
    }
    expect(await reading).toBe("");
  });
});
