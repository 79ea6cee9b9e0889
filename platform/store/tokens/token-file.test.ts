import { timingSafeEqual } from "node:crypto";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../test/support/temporary-folder.ts";
import { hashToken, openTokenFile, readTokenFile, type TokenFile } from "./token-file.ts";

// Watched, not replaced: what it says counts.
vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return { ...crypto, timingSafeEqual: vi.fn<typeof timingSafeEqual>(crypto.timingSafeEqual) };
});

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
  return { tokens: await openTokenFile({ path, logger, lookEveryMs: 0 }), errors };
}

test("a token identifies its caller, and any other text none", async () => {
  const { tokens } = await open(await aFile({ tokens: [entry("ann", "t-ann"), entry("root", "t-root", "admin")] }));
  expect(await tokens.identify("t-ann")).toEqual({ name: "ann", role: "member" });
  expect(await tokens.identify("t-root")).toEqual({ name: "root", role: "admin" });
  for (const wrong of ["", "t-an", "t-ann ", hashToken("t-ann")]) expect(await tokens.identify(wrong)).toBeNull();
});

test("tokens come and go with a change of the file", async () => {
  const path = await aFile({ tokens: [entry("ann", "old")] });
  const { tokens } = await open(path);
  await writeFile(path, JSON.stringify({ tokens: [entry("ann", "new", "viewer"), entry("bob", "t-bob")] }));
  expect(await tokens.identify("old")).toBeNull();
  expect(await tokens.identify("new")).toEqual({ name: "ann", role: "viewer" });
});

test("a token is compared with each one in constant time", async () => {
  const { tokens } = await open(await aFile({ tokens: [entry("ann", "t-ann"), entry("bob", "t-bob")] }));
  for (const token of ["t-ann", "t-bob", "t-nobody"]) {
    vi.mocked(timingSafeEqual).mockClear();
    await tokens.identify(token);
    const compared = vi
      .mocked(timingSafeEqual)
      .mock.calls.map((pair) => pair.map((bytes) => Buffer.from(bytes as Buffer)));
    expect(compared).toEqual(
      ["t-ann", "t-bob"].map((known) => [known, token].map((text) => Buffer.from(hashToken(text), "hex"))),
    );
  }
  vi.mocked(timingSafeEqual).mockReturnValueOnce(true);
  expect(await tokens.identify("t-nobody")).toEqual({ name: "ann", role: "member" });
});

test("a file that goes bad is told to the logger once and by health, and the tokens known before stay valid", async () => {
  const path = await aFile({ tokens: [entry("ann", "t-ann")] });
  const { tokens, errors } = await open(path);
  expect(await tokens.health()).toMatchObject({ ok: true });
  await writeFile(path, "{ half");
  for (let i = 0; i < 3; i++) expect(await tokens.identify("t-ann")).not.toBeNull();
  expect(errors).toHaveLength(1);
  expect(await tokens.health()).toMatchObject({ ok: false, detail: expect.stringContaining("known before stay") });
  await writeFile(path, JSON.stringify({ tokens: [] }));
  expect(await tokens.identify("t-ann")).toBeNull();
  expect(await tokens.health()).toMatchObject({ ok: true });
});

describe("no token is valid while the tokens file is gone, and health says so: the file is", () => {
  test.each([
    ["removed", (path: string) => rm(path)],
    ["moved away", (path: string) => rename(path, `${path}.old`)],
    ["gone with its folder", (path: string) => rm(dirname(path), { recursive: true })],
    ["removed after it went bad", (path: string) => writeFile(path, "{ half").then(() => rm(path))],
  ])("%s", async (_, remove) => {
    const path = await aFile({ tokens: [entry("ann", "t-ann")] });
    const { tokens, errors } = await open(path);
    await remove(path);
    expect(await tokens.health()).toMatchObject({ ok: false, detail: expect.stringContaining("no token is valid") });
    for (let i = 0; i < 3; i++) expect(await tokens.identify("t-ann")).toBeNull();
    expect(errors).toHaveLength(1);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify({ tokens: [entry("ann", "t-ann")] }), { mode: 0o600 });
    expect(await tokens.identify("t-ann")).not.toBeNull();
    expect(await tokens.health()).toMatchObject({ ok: true });
  });
});

describe("a tokens file", () => {
  const open0 = { tokens: [entry("mallory", "t-mallory", "admin")] };

  test.each([0o644, 0o602, 0o620, 0o666])(
    "of mode %o, open to other users, is refused at the start, with the way out",
    async (mode) => {
      const path = await aFile(open0);
      await chmod(path, mode);
      await expect(open(path)).rejects.toThrow(`(mode ${mode.toString(8)}). chmod 600 "${path}"`);
    },
  );

  test.each([0o600, 0o400, 0o640])("of mode %o, closed to other users, is taken", async (mode) => {
    const path = await aFile(open0);
    await chmod(path, mode);
    expect(await (await open(path)).tokens.identify("t-mallory")).not.toBeNull();
  });

  test("that is opened to other users while the platform runs is not read until it is closed to them", async () => {
    const path = await aFile({ tokens: [entry("ann", "t-ann")] });
    const { tokens, errors } = await open(path);
    await chmod(path, 0o666);
    expect(await tokens.identify("t-ann")).not.toBeNull();
    await writeFile(path, JSON.stringify(open0));
    expect(await tokens.identify("t-mallory")).toBeNull();
    expect(await tokens.identify("t-ann")).not.toBeNull();
    expect(JSON.stringify(errors)).toContain("chmod 600");
    expect(await tokens.health()).toMatchObject({ ok: false });
    await chmod(path, 0o600);
    expect(await tokens.identify("t-mallory")).not.toBeNull();
    expect(await tokens.identify("t-ann")).toBeNull();
  });
});

describe("a start refuses a tokens file", () => {
  test.each([
    ["{ half", /is not JSON/],
    ["[]", /Cannot use tokens file/],
    [JSON.stringify({ tokens: [{ ...entry("ann", "x"), role: "root" }] }), /tokens\.0\.role/],
    [JSON.stringify({ tokens: [{ ...entry("ann", "x"), hash: "x" }] }), /tokens\.0\.hash/],
    [JSON.stringify({ tokens: [{ ...entry("ann", "x"), token: "x" }] }), /tokens\.0/],
    [JSON.stringify({ tokens: [entry("platform", "x")] }), /uses itself/],
  ])("with the content %s", async (content, message) => {
    await expect(open(await aFile(content))).rejects.toThrow(message);
  });

  test("that is missing, with the way out", async () => {
    await expect(readTokenFile("/nowhere/tokens.json")).rejects.toThrow(/ENOENT.*make token/);
  });
});
