import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { json, serve } from "./support/canned-engine.ts";
import { makeToken } from "./support/make-token.ts";
import { aRecord } from "./support/record.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const SCRIPT = resolve(import.meta.dirname, "../../scripts/check-settings.ts");
const SUBNET = "10.172.0.0/28";
const MOVED = { SUBNET_POOL: "10.182.0.0/16" };

/** A checkout as far as the script looks at one. */
async function makeCheckout(): Promise<string> {
  const folder = await temporaryFolder();
  for (const part of ["envs/quarantine", "logs"]) await mkdir(join(folder, part), { recursive: true });
  return folder;
}

/** What the script says of these settings in a checkout; "" when it accepts them. No engine answers unless one is given. */
async function check(checkout: string, settings: Record<string, string> = {}): Promise<string> {
  const env = { PATH: process.env["PATH"], DOCKER_SOCKET: join(checkout, "no-engine.sock"), ...settings };
  return new Promise((done, fail) => {
    execFile(process.execPath, [SCRIPT], { cwd: checkout, env }, (error, _, stderr) => {
      if ((error === null) === (stderr === "")) done(stderr);
      else fail(new Error(`it ended with ${error?.code ?? 0} and said: ${stderr}`));
    });
  });
}

/** An engine with one environment's network, and the platform's own. */
async function anEngine(id: string): Promise<string> {
  const network = (name: string, subnet: string, labels = {}) => ({
    Name: name,
    Labels: { "sandbox.platform": "sandbox", ...labels },
    IPAM: { Config: [{ Subnet: subnet }] },
  });
  const networks = [network("sandbox", "10.171.0.0/24"), network(`sandbox-${id}`, SUBNET, { "sandbox.env": id })];
  return (await serve({ "GET /networks": json(200, networks), "GET /containers/json": json(200, []) })).socketPath;
}

test("make up accepts a pool that every environment lies in", async () => {
  const checkout = await makeCheckout();
  await writeFile(join(checkout, "envs/env-a.json"), JSON.stringify(aRecord({ id: "env-a" })));
  expect(await check(checkout)).toBe("");
});

test("make up refuses another pool while an environment lives in the former one, and touches nothing", async () => {
  const checkout = await makeCheckout();
  await writeFile(join(checkout, "envs/env-a.json"), JSON.stringify(aRecord({ id: "env-a" })));
  await writeFile(join(checkout, "envs/env-broken.json"), "{ half");
  const before = await readdir(checkout, { recursive: true });
  expect(await check(checkout, MOVED)).toMatch(/SUBNET_POOL is 10\.182\.0\.0\/16.*env-a \(10\.172\.0\.0\/28\)/);
  expect(await readdir(checkout, { recursive: true })).toEqual(before);
});

test.each([
  ["whose state file is broken", "envs/env-b.json"],
  ["whose state file was set aside", "envs/quarantine/env-b.json.2030-01-01"],
  ["whose state file was lost, by its logs", "logs/env-b"],
])("make up refuses another pool while an environment is there %s", async (_, sign) => {
  const checkout = await makeCheckout();
  await writeFile(join(checkout, sign), "{ half");
  expect(await check(checkout, { ...MOVED, DOCKER_SOCKET: await anEngine("env-b") })).toContain(
    "env-b (10.172.0.0/28)",
  );
});

test("make up accepts another pool while there is only what was made ahead, which a start makes anew", async () => {
  const checkout = await makeCheckout();
  expect(await check(checkout, { ...MOVED, DOCKER_SOCKET: await anEngine("env-b") })).toBe("");
});

test("make up refuses another subnet than the platform's network has", async () => {
  const settings = { PLATFORM_SUBNET: "10.181.0.0/24", NGINX_ADDRESS: "10.181.0.2" };
  const checkout = await makeCheckout();
  expect(await check(checkout, settings)).toBe("");
  expect(await check(checkout, { ...settings, DOCKER_SOCKET: await anEngine("env-b") })).toMatch(
    /PLATFORM_SUBNET is 10\.181\.0\.0\/24.*make down/,
  );
});

test.each(["tokens.json", "./tokens.json"])("make up accepts the tokens file %s in the checkout", async (file) => {
  const checkout = await makeCheckout();
  await makeToken(join(checkout, "tokens.json"), "ann", "admin");
  expect(await check(checkout, { API_TOKENS_FILE: file })).toBe("");
});

test.each([
  ["outside the checkout", (_: string, elsewhere: string) => elsewhere, /does not see.*API_TOKENS_FILE=tokens\.json/s],
  ["that is a link to a file outside", () => "link.json", /API_TOKENS_FILE is/],
  ["that is missing", () => "../tokens-elsewhere.json", /Cannot read tokens file/],
  ["by its absolute path", (checkout: string) => join(checkout, "tokens.json"), /Set API_TOKENS_FILE=tokens\.json/],
])("make up refuses a tokens file %s", async (_, fileOf, message) => {
  const [checkout, elsewhere] = [await makeCheckout(), join(await temporaryFolder(), "tokens.json")];
  await makeToken(elsewhere, "ann", "admin");
  await copyFile(elsewhere, join(checkout, "tokens.json"));
  await symlink(elsewhere, join(checkout, "link.json"));
  expect(await check(checkout, { API_TOKENS_FILE: fileOf(checkout, elsewhere) })).toMatch(message);
});
