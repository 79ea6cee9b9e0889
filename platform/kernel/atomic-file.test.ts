import { mkdir, mkdtemp, open, readFile, readdir, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeFolder, moveFile, removeFile, sweepTemporaryFiles, writeFileAtomic } from "./atomic-file.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atomic-file-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("writeFileAtomic", () => {
  it("writes a new file and leaves no temporary one", async () => {
    await writeFileAtomic(join(folder, "a.json"), "ä\n");
    expect(await readFile(join(folder, "a.json"), "utf8")).toBe("ä\n");
    expect(await readdir(folder)).toEqual(["a.json"]);
  });

  it("replaces an existing file, also when not durable", async () => {
    const path = join(folder, "a.conf");
    await writeFileAtomic(path, "old, and longer");
    await writeFileAtomic(path, "new", { durable: false });
    expect(await readFile(path, "utf8")).toBe("new");
  });

  it("gives the file exactly the mode asked for", async () => {
    const path = join(folder, "secret.json");
    await writeFileAtomic(path, "{}", { mode: 0o600 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("never shows a reader a part of the content when many write at once", async () => {
    const path = join(folder, "a.json");
    const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(20_000));
    await writeFileAtomic(path, texts[0] ?? "");
    const seen = new Set<string>();
    const done = new AbortController();
    const reader = (async () => {
      while (!done.signal.aborted) seen.add(await readFile(path, "utf8"));
    })();
    await Promise.all(texts.map((text) => writeFileAtomic(path, text, { durable: false })));
    done.abort();
    await reader;
    expect([...seen].every((text) => texts.includes(text))).toBe(true);
    expect(await readdir(folder)).toEqual(["a.json"]);
  });

  it("fails with storage_failed and leaves nothing behind when a folder is in the way", async () => {
    const path = join(folder, "a.json");
    await mkdir(path);
    const failure = writeFileAtomic(path, "x");
    await expect(failure).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringMatching(/"[^"]*a\.json": EISDIR/),
    });
    await expect(failure).rejects.toHaveProperty("cause.code", "EISDIR");
    expect(await readdir(folder)).toEqual(["a.json"]);
  });

  it("fails with storage_failed when the folder is missing", async () => {
    await expect(writeFileAtomic(join(folder, "none", "a.json"), "x")).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringContaining("ENOENT"),
    });
  });
});

/** Writes as a process does that has just started. */
async function writeAsNewProcess(path: string): Promise<void> {
  vi.resetModules();
  const { writeFileAtomic: write } = await import("./atomic-file.ts");
  await write(path, "x");
}

describe("the disk is asked to keep", () => {
  /** Runs `work` and returns each file or folder that it synced, and what the folder held at that moment. */
  async function syncedBy(work: () => Promise<void>): Promise<{ what: string; held: string[] }[]> {
    const anyFile = await open(folder, "r");
    const sync = vi.spyOn(Object.getPrototypeOf(anyFile) as typeof anyFile, "sync");
    await anyFile.close();
    const synced: { what: string; held: string[] }[] = [];
    sync.mockImplementation(async function (this: typeof anyFile) {
      const path = await readlink(`/proc/self/fd/${this.fd}`);
      synced.push({ what: relative(folder, path), held: (await readdir(folder)).sort() });
    });
    try {
      await work();
    } finally {
      sync.mockRestore();
    }
    return synced;
  }

  const temporary = expect.stringMatching(/^\.a\.json\.[0-9a-f]{16}\.tmp$/);

  it("a written file's content before the file takes its name, then the name", async () => {
    const path = join(folder, "a.json");
    expect(await syncedBy(() => writeFileAtomic(path, "x"))).toEqual([
      { what: temporary, held: [temporary] },
      { what: "", held: ["a.json"] },
    ]);
    expect(await syncedBy(() => writeFileAtomic(path, "y", { durable: false }))).toEqual([]);
  });

  it("a temporary file under another name in every process, also in one with the same id", async () => {
    const write = () => syncedBy(() => writeAsNewProcess(join(folder, "a.json")));
    const names = [...(await write()), ...(await write())].map(({ what }) => what).filter((what) => what !== "");
    expect(names).toEqual([temporary, temporary]);
    expect(new Set(names).size).toBe(2);
  });

  it("a removal, when it is durable", async () => {
    const path = join(folder, "a.json");
    for (const durable of [true, false]) {
      await writeFile(path, "x");
      expect(await syncedBy(() => removeFile(path, { durable }))).toEqual(durable ? [{ what: "", held: [] }] : []);
    }
  });

  it("a move's target folder, then its source folder", async () => {
    await writeFile(join(folder, "a.json"), "x");
    const moved = await syncedBy(() => moveFile(join(folder, "a.json"), join(folder, "aside", "a.json")));
    expect(moved).toEqual(["aside", ""].map((what) => ({ what, held: ["aside"] })));
  });

  it("a folder that was made and its parent, but no folder that existed", async () => {
    const made = () => syncedBy(() => makeFolder(join(folder, "a", "b")));
    expect(await made()).toEqual(["a", ""].map((what) => ({ what, held: ["a"] })));
    expect(await made()).toEqual([]);
  });
});

describe("makeFolder", () => {
  it("fails with storage_failed when a file is in the way", async () => {
    await writeFile(join(folder, "a"), "");
    await expect(makeFolder(join(folder, "a"))).rejects.toMatchObject({ code: "storage_failed" });
  });
});

describe("removeFile", () => {
  it("removes a file, and accepts that it is gone already", async () => {
    const path = join(folder, "a.json");
    await writeFile(path, "x");
    await removeFile(path);
    await removeFile(path);
    expect(await readdir(folder)).toEqual([]);
  });

  it("fails with storage_failed when the path is a folder", async () => {
    await mkdir(join(folder, "a.json"));
    await expect(removeFile(join(folder, "a.json"))).rejects.toMatchObject({ code: "storage_failed" });
  });
});

describe("moveFile", () => {
  it("moves a file into a folder that it makes", async () => {
    await writeFile(join(folder, "a.conf"), "x");
    await moveFile(join(folder, "a.conf"), join(folder, "aside", "a.conf.1"));
    expect(await readFile(join(folder, "aside", "a.conf.1"), "utf8")).toBe("x");
    expect(await readdir(folder)).toEqual(["aside"]);
  });

  it("fails with storage_failed when the source does not exist", async () => {
    await expect(moveFile(join(folder, "none"), join(folder, "b"))).rejects.toMatchObject({ code: "storage_failed" });
  });
});

describe("sweepTemporaryFiles", () => {
  it("removes the temporary files of a killed process and nothing else", async () => {
    const left = [".env-a.json.0123456789abcdef.tmp"];
    const others = [".env-a.json.4711.3.tmp", ".gitkeep", ".notes.tmp", "env-a.json", "notes.tmp"];
    await Promise.all([...left, ...others].map((name) => writeFile(join(folder, name), "")));
    expect((await sweepTemporaryFiles(folder)).sort()).toEqual(left);
    expect((await readdir(folder)).sort()).toEqual(others);
  });

  it("leaves this process's own writes alone", async () => {
    const writes = Array.from({ length: 20 }, (_, index) =>
      writeFileAtomic(join(folder, `${index}.json`), "x".repeat(100_000)),
    );
    for (let sweeps = 0; sweeps < 5; sweeps++) await sweepTemporaryFiles(folder);
    await Promise.all(writes);
    expect((await readdir(folder)).length).toBe(20);
  });

  it("fails with storage_failed when the folder is missing", async () => {
    await expect(sweepTemporaryFiles(join(folder, "none"))).rejects.toMatchObject({ code: "storage_failed" });
  });
});
