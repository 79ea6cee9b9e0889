import crypto from "node:crypto";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { hashToken, openTokenFile, readTokenFile, type TokenFile } from "./token-file.ts";

const CREATED = "2030-01-01T00:00:00.000Z";
const entry = (name: string, token: string, role: "admin" | "member" | "viewer" = "member") => ({
  name,
  role,
  hash: hashToken(token),
  created_at: CREATED,
});

async function aFile(content: TokenFile | string): Promise<string> {
  const path = join(await temporaryFolder(), "tokens.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
  return path;
}

/** Opened so that every question looks at the file anew. */
async function open(path: string) {
  const errors: unknown[] = [];
  const logger = { info: () => {}, error: (...args: unknown[]) => void errors.push(args) };
  return { book: await openTokenFile({ path, logger, lookEveryMs: 0 }), errors };
}

test("a token is its owner's, and anything else nobody's", async () => {
  const { book } = await open(await aFile({ tokens: [entry("ann", "t-ann"), entry("root", "t-root", "admin")] }));
  expect(await book.identify("t-ann")).toEqual({ name: "ann", role: "member" });
  expect(await book.identify("t-root")).toEqual({ name: "root", role: "admin" });
  for (const wrong of ["", "t-an", "t-ann ", hashToken("t-ann")]) expect(await book.identify(wrong)).toBeNull();
});

test("a changed file counts at once: tokens come and go", async () => {
  const path = await aFile({ tokens: [entry("ann", "old")] });
  const { book } = await open(path);
  await writeFile(path, JSON.stringify({ tokens: [entry("ann", "new", "viewer"), entry("bob", "t-bob")] }));
  expect(await book.identify("old")).toBeNull();
  expect(await book.identify("new")).toEqual({ name: "ann", role: "viewer" });
});

test("a token is compared with each known token in constant time", async () => {
  const { book } = await open(await aFile({ tokens: [entry("ann", "t-ann"), entry("bob", "t-bob")] }));
  const compare = vi.spyOn(crypto, "timingSafeEqual");
  onTestFinished(() => {
    compare.mockRestore();
    syncBuiltinESMExports();
  });
  syncBuiltinESMExports();
  for (const token of ["t-ann", "t-bob", "t-nobody"]) {
    compare.mockClear();
    await book.identify(token);
    const compared = compare.mock.calls.map((pair) => pair.map((bytes) => Buffer.from(bytes as Buffer)));
    expect(compared).toEqual(
      ["t-ann", "t-bob"].map((known) => [known, token].map((text) => Buffer.from(hashToken(text), "hex"))),
    );
  }
  compare.mockReturnValueOnce(true);
  expect(await book.identify("t-nobody")).toEqual({ name: "ann", role: "member" });
});

test("a file that goes bad is told once and in the health, and the tokens known before stay", async () => {
  const path = await aFile({ tokens: [entry("ann", "t-ann")] });
  const { book, errors } = await open(path);
  expect(await book.health()).toMatchObject({ ok: true });
  await writeFile(path, "{ half");
  for (let i = 0; i < 3; i++) expect(await book.identify("t-ann")).not.toBeNull();
  expect(errors).toHaveLength(1);
  expect(await book.health()).toMatchObject({ ok: false, detail: expect.stringContaining("known before stay") });
  await writeFile(path, JSON.stringify({ tokens: [] }));
  expect(await book.identify("t-ann")).toBeNull();
  expect(await book.health()).toMatchObject({ ok: true });
});

describe("without its file no token is valid, and the health says so", () => {
  test.each([
    ["removed", (path: string) => rm(path)],
    ["moved away", (path: string) => rename(path, `${path}.old`)],
    ["gone with its folder", (path: string) => rm(dirname(path), { recursive: true })],
    ["removed after it went bad", (path: string) => writeFile(path, "{ half").then(() => rm(path))],
  ])("%s", async (_, remove) => {
    const path = await aFile({ tokens: [entry("ann", "t-ann")] });
    const { book, errors } = await open(path);
    await remove(path);
    expect(await book.health()).toMatchObject({ ok: false, detail: expect.stringContaining("no token is valid") });
    for (let i = 0; i < 3; i++) expect(await book.identify("t-ann")).toBeNull();
    expect(errors).toHaveLength(1);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify({ tokens: [entry("ann", "t-ann")] }), { mode: 0o600 });
    expect(await book.identify("t-ann")).not.toBeNull();
    expect(await book.health()).toMatchObject({ ok: true });
  });
});

describe("a file that others on the machine may read or write", () => {
  const open0 = { tokens: [entry("mallory", "t-mallory", "admin")] };

  test.each([0o644, 0o602, 0o620, 0o666])("is refused at the start, with what to do: mode %o", async (mode) => {
    const path = await aFile(open0);
    await chmod(path, mode);
    await expect(open(path)).rejects.toThrow(`(mode ${mode.toString(8)}). chmod 600 "${path}"`);
  });

  test.each([0o600, 0o400, 0o640])("is not one of mode %o", async (mode) => {
    const path = await aFile(open0);
    await chmod(path, mode);
    expect(await (await open(path)).book.identify("t-mallory")).not.toBeNull();
  });

  test("counts for nothing while the platform runs, until it is closed to them", async () => {
    const path = await aFile({ tokens: [entry("ann", "t-ann")] });
    const { book, errors } = await open(path);
    await chmod(path, 0o666);
    expect(await book.identify("t-ann")).not.toBeNull();
    await writeFile(path, JSON.stringify(open0));
    expect(await book.identify("t-mallory")).toBeNull();
    expect(await book.identify("t-ann")).not.toBeNull();
    expect(JSON.stringify(errors)).toContain("chmod 600");
    expect(await book.health()).toMatchObject({ ok: false });
    await chmod(path, 0o600);
    expect(await book.identify("t-mallory")).not.toBeNull();
    expect(await book.identify("t-ann")).toBeNull();
  });
});

describe("a file that is bad at the start is refused", () => {
  test.each([
    ["{ half", /is not JSON/],
    ["[]", /Cannot use tokens file/],
    [JSON.stringify({ tokens: [{ ...entry("ann", "x"), role: "root" }] }), /tokens\.0\.role/],
    [JSON.stringify({ tokens: [{ ...entry("ann", "x"), hash: "x" }] }), /tokens\.0\.hash/],
    [JSON.stringify({ tokens: [{ ...entry("ann", "x"), token: "x" }] }), /tokens\.0/],
    [JSON.stringify({ tokens: [entry("platform", "x")] }), /uses itself/],
  ])("%s", async (content, message) => {
    await expect(open(await aFile(content))).rejects.toThrow(message);
  });

  test("also one that is not there, with what to do", async () => {
    await expect(readTokenFile("/nowhere/tokens.json")).rejects.toThrow(/ENOENT.*make token/);
  });
});
