import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { moveFile, removeFile, sweepTemporaryFiles, writeFileAtomic } from "./atomic-file.ts";

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

describe("removeFile", () => {
  it("removes a file, and accepts that it is gone", async () => {
    const path = join(folder, "a.json");
    await writeFile(path, "x");
    await removeFile(path);
    await removeFile(path);
    expect(await readdir(folder)).toEqual([]);
  });

  it("fails with storage_failed when it is a folder", async () => {
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

  it("fails with storage_failed when there is nothing to move", async () => {
    await expect(moveFile(join(folder, "none"), join(folder, "b"))).rejects.toMatchObject({ code: "storage_failed" });
  });
});

describe("sweepTemporaryFiles", () => {
  it("removes what a killed process left and nothing else", async () => {
    const left = ".env-a.json.4711.3.tmp";
    await Promise.all([left, ".gitkeep", "env-a.json", "notes.tmp"].map((name) => writeFile(join(folder, name), "")));
    expect(await sweepTemporaryFiles(folder)).toEqual([left]);
    expect((await readdir(folder)).sort()).toEqual([".gitkeep", "env-a.json", "notes.tmp"]);
  });

  it("leaves the writes under way in this process alone", async () => {
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
