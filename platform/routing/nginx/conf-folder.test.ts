import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { delay } from "../../kernel/delay.ts";
import { flagOf, openConfFolder, RELOAD_MARK, SIGHT_PREFIX, type ConfFolder } from "./conf-folder.ts";

const run = promisify(execFile);
let path = "";
let folder: ConfFolder;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "conf-folder-"));
  folder = openConfFolder(path);
});
afterEach(() => rm(path, { recursive: true, force: true }));

describe("openConfFolder", () => {
  it("makes the folder where it is missing, and fails with storage_failed where it cannot", async () => {
    openConfFolder(join(path, "a", "b"));
    expect(await readdir(join(path, "a"))).toEqual(["b"]);
    await writeFile(join(path, "file"), "");
    expect(() => openConfFolder(join(path, "file", "b"))).toThrow(expect.objectContaining({ code: "storage_failed" }));
  });

  it.each([
    ["a file", (place: string) => writeFile(place, "theirs")],
    ["a link to nowhere", (place: string) => symlink("/nowhere/at/all", place)],
    ["a pipe", (place: string) => run("mkfifo", [place])],
  ])("takes %s in the gates' place for no gate, and sets it aside for the next one", async (_what, put) => {
    await put(join(path, "enabled"));
    expect(folder.enabledIds()).toEqual([]);
    await folder.remove(flagOf("env-a"));
    await Promise.all(["env-a", "env-b"].map((id) => folder.touch(flagOf(id))));
    expect(folder.enabledIds().sort()).toEqual(["env-a", "env-b"]);
    expect(await readdir(join(path, "rejected"))).toEqual([expect.stringMatching(/^enabled\./)]);
    await folder.remove(flagOf("env-a"));
    expect(folder.enabledIds()).toEqual(["env-b"]);
  });

  it("names what Nginx includes and nothing else", async () => {
    await Promise.all(
      ["env-a.conf", "other.conf", ".hidden.conf", ".env-a.conf.1.2.tmp", ".gitkeep", "env-a.conf.bak"].map((name) =>
        writeFile(join(path, name), "x"),
      ),
    );
    expect((await folder.names()).sort()).toEqual(["env-a.conf", "other.conf"]);
    expect(folder.namesNow().sort()).toEqual(["env-a.conf", "other.conf"]);
  });

  it("knows the ids of files that hold something", async () => {
    await writeFile(join(path, "env-a.conf"), "server {}");
    await writeFile(join(path, "env-empty.conf"), "");
    await writeFile(join(path, "00-config-version.conf"), "x");
    await writeFile(join(path, "stranger.conf"), "x");
    await mkdir(join(path, "env-folder.conf"));
    expect(await folder.ids()).toEqual(["env-a"]);
  });

  it("reads a file, and null where there is none", async () => {
    await folder.write("env-a.conf", "text");
    await mkdir(join(path, "env-folder.conf"));
    await run("mkfifo", [join(path, "env-pipe.conf")]);
    expect(await folder.read("env-a.conf")).toBe("text");
    for (const name of ["b", "folder", "pipe"]) expect(await folder.read(`env-${name}.conf`)).toBe(null);
  });

  it("removes files, links and folders, and accepts that they are gone", async () => {
    await writeFile(join(path, "env-a.conf"), "x");
    await symlink("/nowhere", join(path, "env-b.conf"));
    await mkdir(join(path, "env-c.conf", "full"), { recursive: true });
    for (const name of ["env-a.conf", "env-b.conf", "env-c.conf", "env-d.conf"]) await folder.remove(name);
    expect(await folder.names()).toEqual([]);
  });

  it("makes empty files, also in a folder that is missing, and empties what is there", async () => {
    for (let times = 0; times < 2; times++) {
      await folder.touch(flagOf("env-a"));
      await folder.touch(RELOAD_MARK);
    }
    expect(await readFile(join(path, "enabled", "env-a"), "utf8")).toBe("");
    expect(folder.enabledIds()).toEqual(["env-a"]);
    expect(await folder.names()).toEqual([]);
    await rm(path, { recursive: true });
    await writeFile(path, "in the way");
    await expect(folder.touch(flagOf("env-b"))).rejects.toMatchObject({ code: "storage_failed" });
  });

  it("knows the gates of environments, and none where there is no folder for them", async () => {
    expect(folder.enabledIds()).toEqual([]);
    await mkdir(join(path, "enabled", "env-folder"), { recursive: true });
    for (const name of ["env-a", "env-b.conf", "stranger"]) await writeFile(join(path, "enabled", name), "");
    expect(folder.enabledIds()).toEqual(["env-a"]);
    await folder.remove(flagOf("env-a"));
    expect(folder.enabledIds()).toEqual([]);
  });

  it("removes the mark of a reload, and what was made to be seen, when it is opened: whoever made them is gone", async () => {
    await folder.touch(RELOAD_MARK);
    await folder.touch(`${SIGHT_PREFIX}0123`);
    openConfFolder(path);
    expect(await readdir(path)).toEqual([]);
  });

  it("is made anew where somebody removed it", async () => {
    for (const use of [() => folder.names(), () => folder.ids(), async () => folder.marksNow()]) {
      await rm(path, { recursive: true });
      await use();
      expect(await readdir(path)).toEqual([]);
    }
    await rm(path, { recursive: true });
    await writeFile(path, "in the way");
    await expect(folder.names()).rejects.toMatchObject({ code: "storage_failed" });
  });

  it("marks files, so that each that is written anew has another mark, and nothing else than files has one", async () => {
    for (const name of ["env-a.conf", "theirs.conf", "target"]) await writeFile(join(path, name), "one");
    await symlink("target", join(path, "link.conf"));
    await symlink("nowhere", join(path, "dead.conf"));
    await mkdir(join(path, "folder.conf"));
    await run("mkfifo", [join(path, "pipe.conf")]);
    const before = folder.marksNow();
    const marked = [...before].filter(([, mark]) => mark !== null).map(([name]) => name);
    expect(marked.sort()).toEqual(["env-a.conf", "link.conf", "theirs.conf"]);
    expect([...before.keys()].sort()).toEqual((await folder.names()).sort());
    expect(folder.marksNow()).toEqual(before);
    await folder.write("env-a.conf", "one");
    await writeFile(join(path, "target"), "more");
    const after = folder.marksNow();
    expect(marked.filter((name) => after.get(name) !== before.get(name)).sort()).toEqual(["env-a.conf", "link.conf"]);
  });

  it("lets go whoever waits to read a pipe that is set aside", async () => {
    const pipe = join(path, "pipe.conf");
    await run("mkfifo", [pipe]);
    await folder.setAside("pipe.conf", 0);
    const waiting = readFile(join(path, "rejected", "pipe.conf.1970-01-01T00-00-00.000Z"), "utf8");
    const settled = waiting.then(() => true);
    // Whether it waits yet cannot be seen: the pipe is set aside again until it has been let go.
    for (let n = 1; !(await Promise.race([settled, delay(5)])); n++) {
      await rename(join(path, "rejected", (await readdir(join(path, "rejected")))[0] ?? ""), pipe);
      await folder.setAside("pipe.conf", n);
    }
    expect(await waiting).toBe("");
  });

  it("sets files aside without ever overwriting one", async () => {
    for (const text of ["one", "two", "three"]) {
      await folder.write("env-a.conf", text);
      await folder.setAside("env-a.conf", 0);
    }
    const names = (await readdir(join(path, "rejected"))).sort();
    expect(names).toEqual([
      "env-a.conf.1970-01-01T00-00-00.000Z",
      "env-a.conf.1970-01-01T00-00-00.000Z.1",
      "env-a.conf.1970-01-01T00-00-00.000Z.2",
    ]);
    expect(await Promise.all(names.map((name) => readFile(join(path, "rejected", name), "utf8")))).toEqual([
      "one",
      "two",
      "three",
    ]);
    expect(await folder.names()).toEqual([]);
  });

  it("puts a file back that was set aside, never over another one, and leaves it where it is gone", async () => {
    const [first, second] = ["theirs.conf", "other.conf"];
    for (const name of [first, second]) await folder.write(name, "old");
    const places = [await folder.setAside(first, 0), await folder.setAside(second, 0)] as const;
    await folder.write(second, "new");
    await folder.putBack(first, places[0]);
    await folder.putBack(second, places[1]);
    expect([await folder.read(first), await folder.read(second)]).toEqual(["old", "new"]);
    expect(await readdir(join(path, "rejected"))).toHaveLength(1);
    await folder.remove(first);
    await folder.putBack(first, places[0]);
    expect(await folder.read(first)).toBeNull();
  });
});
