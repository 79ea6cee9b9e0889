import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { makeToken } from "./support/make-token.ts";
import { aRecord } from "./support/record.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const SCRIPT = resolve(import.meta.dirname, "../../scripts/check-settings.ts");
const SENTINEL = { id: "one", subnet_pool: "10.172.0.0/16", platform_subnet: "10.171.0.0/24" };

/** A checkout as far as the script looks at one, after a platform with an environment was up in it. */
async function makeCheckout(): Promise<string> {
  const folder = await temporaryFolder();
  for (const part of ["envs", ".cache/state/sandbox"]) await mkdir(join(folder, part), { recursive: true });
  await writeFile(join(folder, "envs/.sentinel"), JSON.stringify(SENTINEL));
  await writeFile(join(folder, "envs/env-a.json"), JSON.stringify(aRecord({ id: "env-a" })));
  await writeFile(join(folder, ".cache/state/sandbox/id"), SENTINEL.id);
  return folder;
}

/** What the script says of these settings in a checkout; "" when it accepts them. */
async function check(checkout: string, settings: Record<string, string> = {}): Promise<string> {
  const env = { PATH: process.env["PATH"], ...settings };
  return new Promise((done, fail) => {
    execFile(process.execPath, [SCRIPT], { cwd: checkout, env }, (error, _, stderr) => {
      if ((error === null) === (stderr === "")) done(stderr);
      else fail(new Error(`it ended with ${error?.code ?? 0} and said: ${stderr}`));
    });
  });
}

test("make up accepts the subnets that the environments were made with", async () => {
  expect(await check(await makeCheckout())).toBe("");
});

test.each([
  [{ SUBNET_POOL: "10.182.0.0/16" }, /SUBNET_POOL is 10\.182\.0\.0\/16.*env-a/],
  [
    { PLATFORM_SUBNET: "10.181.0.0/24", NGINX_ADDRESS: "10.181.0.2" },
    /PLATFORM_SUBNET is 10\.181\.0\.0\/24.*make down/,
  ],
])("make up refuses %j while there are environments, and touches nothing", async (settings, words) => {
  const checkout = await makeCheckout();
  const before = await readdir(checkout, { recursive: true });
  expect(await check(checkout, settings)).toMatch(words);
  expect(await readdir(checkout, { recursive: true })).toEqual(before);
});

test("make up accepts other subnets while there is no environment, and saves nothing itself", async () => {
  const checkout = await makeCheckout();
  await rm(join(checkout, "envs/env-a.json"));
  expect(await check(checkout, { SUBNET_POOL: "10.182.0.0/16" })).toBe("");
  expect(JSON.parse(await readFile(join(checkout, "envs/.sentinel"), "utf8"))).toEqual(SENTINEL);
});

test("make up refuses a state folder that is not the one of before", async () => {
  const checkout = await makeCheckout();
  await rm(join(checkout, "envs"), { recursive: true });
  expect(await check(checkout)).toMatch(/Cannot start on the state folder.*Restore the folder.*make down/);
});

test.each(["tokens.json", "./tokens.json"])("make up accepts the tokens file %s in the checkout", async (file) => {
  const checkout = await makeCheckout();
  await makeToken(join(checkout, "tokens.json"), "ann", "admin");
  expect(await check(checkout, { API_TOKENS_FILE: file })).toBe("");
});

describe("make up refuses a tokens file that the API's container would not see", () => {
  let [checkout, elsewhere] = ["", ""];
  beforeEach(async () => {
    [checkout, elsewhere] = [await makeCheckout(), join(await temporaryFolder(), "tokens.json")];
    for (const file of [join(checkout, "tokens.json"), elsewhere]) await makeToken(file, "ann", "admin");
    await symlink(elsewhere, join(checkout, "link.json"));
  });

  test("outside of the checkout, with the way out", async () => {
    expect(await check(checkout, { API_TOKENS_FILE: elsewhere })).toMatch(
      /does not see.*API_TOKENS_FILE=tokens\.json/s,
    );
  });

  test("by an absolute path into the checkout, with the relative one", async () => {
    const said = await check(checkout, { API_TOKENS_FILE: join(checkout, "tokens.json") });
    expect(said).toContain("Set API_TOKENS_FILE=tokens.json");
  });

  test.each(["link.json", "../tokens-elsewhere.json"])("as %s", async (file) => {
    expect(await check(checkout, { API_TOKENS_FILE: file })).toMatch(/API_TOKENS_FILE is|Cannot read tokens file/);
  });
});
