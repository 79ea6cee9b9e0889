import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
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
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
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

test("a file that goes bad or missing is told once, and the tokens known before stay", async () => {
  const path = await aFile({ tokens: [entry("ann", "t-ann")] });
  const { book, errors } = await open(path);
  await writeFile(path, "{ half");
  for (let i = 0; i < 3; i++) expect(await book.identify("t-ann")).not.toBeNull();
  expect(errors).toHaveLength(1);
  await rm(path);
  expect(await book.identify("t-ann")).not.toBeNull();
  expect(errors).toHaveLength(2);
  await writeFile(path, JSON.stringify({ tokens: [] }));
  expect(await book.identify("t-ann")).toBeNull();
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
