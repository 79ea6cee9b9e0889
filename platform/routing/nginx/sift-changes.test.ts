import { describe, expect, it } from "vitest";
import type { ConfFolder } from "./conf-folder.ts";
import { siftChanges, type Change, type TestResult } from "./sift-changes.ts";
import { VERSION_FILE } from "./config-version.ts";

/** A folder in memory, and an Nginx that refuses every file whose text says so. */
function makeWorld(files: Record<string, string>, options: { namesFiles?: boolean; brokenBase?: boolean } = {}) {
  const { namesFiles = true, brokenBase = false } = options;
  const present = new Map(Object.entries(files));
  const aside = new Map<string, string>();
  const rejected: string[] = [];
  let tests = 0;
  const folder: ConfFolder = {
    read: async (name) => present.get(name) ?? null,
    write: async (name, text) => void present.set(name, text),
    rewrite: async (name, text) => void present.set(name, text),
    touch: async (name) => void present.set(name, ""),
    sweep: async () => {},
    remove: async (name) => void present.delete(name),
    async setAside(name) {
      const text = present.get(name);
      if (text === undefined) throw new Error(`${name} is not there`);
      present.delete(name);
      aside.set(`rejected/${name}`, text);
      return `rejected/${name}`;
    },
    async putBack(name, place) {
      present.set(name, aside.get(place) ?? "");
      aside.delete(place);
    },
    names: async () => [...present.keys()],
    namesNow: () => [...present.keys()],
    ids: async () => [],
    enabledIds: () => [],
    has: async (name) => present.has(name),
    marksNow: () => new Map([...present].map(([name, text]) => [name, text === "pipe" ? null : text])),
  };
  async function test(): Promise<TestResult> {
    tests++;
    const broken = [...present].find(([, text]) => text.startsWith("bad"));
    if (broken === undefined && !brokenBase)
      return {
        ok: true,
        output: "nginx: [warn] conflicting server name in /etc/nginx/conf.d/env-a.conf:1\nsyntax is ok",
      };
    const where = broken === undefined ? "/etc/nginx/nginx.conf:3" : `/etc/nginx/conf.d/${broken[0]}:1`;
    const words = namesFiles ? `unknown directive "bad" in ${where}` : "could not build server_names_hash";
    return {
      ok: false,
      output: `nginx: [warn] something in /etc/nginx/conf.d/env-a.conf:1\n2030/01/01 00:00:00 [emerg] 9#9: ${words}\nnginx: configuration file test failed`,
    };
  }
  const tools = {
    folder,
    test,
    now: () => 0,
    onRejected: (file: string, reason: string) => void rejected.push(`${file}: ${reason}`),
    suspects: async () => [...present.keys()].filter((name) => name.startsWith("foreign")),
  };
  return { present, rejected, tools, tests: () => tests };
}

/** The changes as they are when siftChanges gets them: written already. */
async function apply(folder: ConfFolder, texts: Record<string, string | null>): Promise<Change[]> {
  const changes: Change[] = [];
  for (const [file, text] of Object.entries(texts)) {
    changes.push({ file, text, previous: await folder.read(file) });
    if (text === null) await folder.remove(file);
    else await folder.write(file, text);
  }
  return changes;
}

describe.each([
  ["names the file", true],
  ["does not name the file", false],
])("siftChanges, when Nginx %s", (_, namesFiles) => {
  it("accepts everything after one test when nothing is wrong", async () => {
    const world = makeWorld({ "env-a.conf": "good" }, { namesFiles });
    const changes = await apply(world.tools.folder, { "env-b.conf": "good", "env-a.conf": null });
    expect(await siftChanges(changes, world.tools)).toEqual({ accepted: changes, refused: [] });
    expect(world.tests()).toBe(1);
  });

  it("refuses the guilty changes, puts back what they replaced, and keeps the innocent ones", async () => {
    const world = makeWorld({ "env-a.conf": "good old", "env-gone.conf": "good" }, { namesFiles });
    const changes = await apply(world.tools.folder, {
      "env-a.conf": "bad new",
      "env-b.conf": "good",
      "env-c.conf": "bad",
      "env-gone.conf": null,
    });
    const { accepted, refused } = await siftChanges(changes, world.tools);
    expect(accepted.map(({ file }) => file)).toEqual(["env-b.conf", "env-gone.conf"]);
    expect(refused.map(({ change }) => change.file)).toEqual(["env-a.conf", "env-c.conf"]);
    expect(refused.map(({ error }) => error.code)).toEqual(["ingress_rejected", "ingress_rejected"]);
    expect(Object.fromEntries(world.present)).toEqual({ "env-a.conf": "good old", "env-b.conf": "good" });
    expect(world.rejected).toHaveLength(2);
  });

  it("rejects with Nginx's own words, and takes nothing away, when the fault is no file's", async () => {
    const files = { "env-a.conf": "good", "foreign-b.conf": "good", "foreign-c.conf": "good" };
    const world = makeWorld(files, { namesFiles, brokenBase: true });
    const changes = await apply(world.tools.folder, { "env-b.conf": "good", "env-a.conf": "good new" });
    await expect(siftChanges(changes, world.tools)).rejects.toThrow(/no file in conf\.d is the cause.*\[emerg\]/);
    expect(Object.fromEntries(world.present)).toEqual(files);
    expect(world.rejected).toEqual([]);
  });
});

describe("siftChanges", () => {
  it("sets broken files of others aside, one after the other, and accepts the changes", async () => {
    const world = makeWorld({ "stray.conf": "bad", "my stray.conf": "bad", "env-other.conf": "bad" });
    const changes = await apply(world.tools.folder, { "env-a.conf": "good" });
    expect((await siftChanges(changes, world.tools)).accepted).toEqual(changes);
    expect([...world.present.keys()]).toEqual(["env-a.conf"]);
    expect(world.rejected.map((line) => line.split(":")[0])).toEqual(["stray.conf", "my stray.conf", "env-other.conf"]);
  });

  it("sets aside the former file too when that is as broken as the new one", async () => {
    const world = makeWorld({ "env-a.conf": "bad old" });
    const changes = await apply(world.tools.folder, { "env-a.conf": "bad new" });
    const { accepted, refused } = await siftChanges(changes, world.tools);
    expect([accepted.length, refused.length]).toEqual([0, 1]);
    expect([...world.present.keys()]).toEqual([]);
  });

  it("sets aside what is no file before Nginx is asked, which would wait for ever to read it", async () => {
    const world = makeWorld({ "aa.conf": "pipe" });
    const changes = await apply(world.tools.folder, { "env-a.conf": "good" });
    expect((await siftChanges(changes, world.tools)).accepted).toEqual(changes);
    expect([...world.present.keys()]).toEqual(["env-a.conf"]);
    expect(world.rejected).toEqual(["aa.conf: this is no file that Nginx could read"]);
    expect(world.tests()).toBe(1);
  });

  it("sets aside what did not come from here when Nginx names no file and the changes are not to blame", async () => {
    const world = makeWorld({ "foreign.conf": "bad", "env-a.conf": "good" }, { namesFiles: false });
    const changes = await apply(world.tools.folder, {
      "env-a.conf": "good new",
      "env-b.conf": "bad",
      "env-c.conf": "good",
    });
    const { accepted, refused } = await siftChanges(changes, world.tools);
    expect(accepted.map(({ file }) => file)).toEqual(["env-a.conf", "env-c.conf"]);
    expect(refused.map(({ change }) => change.file)).toEqual(["env-b.conf"]);
    expect(Object.fromEntries(world.present)).toEqual({ "env-a.conf": "good new", "env-c.conf": "good" });
    expect(world.rejected.map((line) => line.split(":")[0])).toEqual(["foreign.conf", "env-b.conf"]);
  });

  it("puts back what did not come from here and is innocent, where Nginx names no file", async () => {
    const files = { "foreign-a.conf": "good", "foreign-b.conf": "bad", "foreign-c.conf": "good" };
    const world = makeWorld(files, { namesFiles: false });
    const changes = await apply(world.tools.folder, { "env-a.conf": "good" });
    expect((await siftChanges(changes, world.tools)).accepted).toEqual(changes);
    expect([...world.present.keys()].sort()).toEqual(["env-a.conf", "foreign-a.conf", "foreign-c.conf"]);
    expect(world.rejected.map((line) => line.split(":")[0])).toEqual(["foreign-b.conf"]);
  });

  it("puts back even a file that Nginx named, where the test does not pass without it", async () => {
    const files = { "foreign-a.conf": "bad", "foreign-b.conf": "good" };
    const world = makeWorld(files, { brokenBase: true });
    await expect(siftChanges(await apply(world.tools.folder, {}), world.tools)).rejects.toThrow("is the cause");
    expect(Object.fromEntries(world.present)).toEqual(files);
    expect(world.rejected).toEqual([]);
  });

  it("puts back what it took out when the test cannot be run any more", async () => {
    const world = makeWorld({ "foreign-a.conf": "bad" });
    const changes = await apply(world.tools.folder, {});
    const test = () => (world.tests() > 0 ? Promise.reject(new Error("engine is gone")) : world.tools.test());
    await expect(siftChanges(changes, { ...world.tools, test })).rejects.toThrow("engine is gone");
    expect([...world.present.keys()]).toEqual(["foreign-a.conf"]);
    expect(world.rejected).toEqual([]);
  });

  it("tells Nginx's own words without the warnings", async () => {
    const world = makeWorld({});
    const { refused } = await siftChanges(await apply(world.tools.folder, { "env-a.conf": "bad" }), world.tools);
    expect(refused[0]?.error.message).toMatch(
      /^Cannot route "env-a\.conf": Nginx refuses the configuration: .*\[emerg\].*unknown directive "bad"[^\n]*$/,
    );
  });

  it("never sets the version's own file aside", async () => {
    const world = makeWorld({ [VERSION_FILE]: "bad" });
    const changes = await apply(world.tools.folder, { "env-a.conf": "good" });
    await expect(siftChanges(changes, world.tools)).rejects.toThrow('unknown directive "bad"');
    expect(world.present.get(VERSION_FILE)).toBe("bad");
    expect(world.rejected).toEqual([]);
  });
});
