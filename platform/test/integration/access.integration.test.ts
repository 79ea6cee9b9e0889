import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { apiClient, visit } from "../support/api-client.ts";
import { hostOf, usePlatform } from "../support/describe-platform.ts";
import { recordDockerEvents } from "../support/docker-events.ts";
import { expectStatus } from "../support/expect-status.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");
const SECRET = "s3cret-0f-this-test-4711";
const DIGEST = createHash("sha256").update(SECRET).digest("hex");
/** Answers with a digest of its secret, which shows that it has the secret without showing the secret. */
const DIGEST_SERVER =
  "require('http').createServer((q, r) => r.end(require('crypto').createHash('sha256').update(process.env.DB_PASSWORD ?? '').digest('hex'))).listen(3000)";

const callers = { ann: "member", bob: "member", eve: "viewer", root: "admin" } as const;
const platform = usePlatform({ MAX_ENVS_PER_OWNER: "2" }, { callers });
const { as } = platform;
const tokensFile = () => join(platform.instance.folder, "tokens.json");

/** Starts a second platform with settings that it must refuse; returns its error output. */
async function refusedStart(settings: Record<string, string>): Promise<string> {
  const { instance } = platform;
  const other = { INSTANCE: `${instance.name}-x`, ENVS_DIR: join(instance.folder, "envs-x"), PLATFORM_PORT: "1" };
  const failed = await run(process.execPath, [join(ROOT, "platform/main.ts")], {
    cwd: ROOT,
    env: { ...process.env, ...instance.variables, ...other, ...settings },
    timeout: 20_000,
  }).catch((error: { code: number; stderr: string }) => error);
  expect(failed).toMatchObject({ code: 1 });
  return failed.stderr;
}

describe("tokens", () => {
  test("the platform refuses to start on other addresses than loopback without tokens", async () => {
    for (const host of ["0.0.0.0", "::", "10.171.0.1"])
      expect(await refusedStart({ API_TOKENS_FILE: "", PLATFORM_HOST: host })).toMatch(/loopback only.*make token/);
  });

  test("the platform refuses to start with a tokens file that is missing, bad, or readable by others", async () => {
    expect(await refusedStart({ API_TOKENS_FILE: "nowhere.json" })).toMatch(/Cannot read tokens file.*make token/);
    const bad = join(platform.instance.folder, "bad.json");
    await writeFile(bad, '{"tokens":[{"name":"ann"}]}', { mode: 0o600 });
    expect(await refusedStart({ API_TOKENS_FILE: bad })).toMatch(/Cannot use tokens file.*tokens\.0\.role/);
    await chmod(bad, 0o644);
    expect(await refusedStart({ API_TOKENS_FILE: bad })).toMatch(/others on this machine may read.*chmod 600/);
  });

  test("the tokens file holds hashes only and is readable by its owner alone", async () => {
    expect((await stat(tokensFile())).mode & 0o777).toBe(0o600);
    const content = await readFile(tokensFile(), "utf8");
    for (const token of Object.values(platform.instance.tokens)) {
      expect(token).toMatch(/^sbx_/);
      expect(content).not.toContain(token);
    }
  });

  test("members see and change only their own environments, viewers only read, admins do everything", async () => {
    const { body: env } = expectStatus(await as("ann").create({ name: "anns" }), 201);
    expectStatus(await apiClient(platform.instance).create(), 401);
    expectStatus(await as("eve").create(), 403);
    expect((await as("bob").list()).body).toEqual([]);
    for (const answer of [
      await as("bob").show(env.id),
      await as("bob").destroy(env.id),
      await as("bob").outage(env.id, "crash"),
      await as("bob").logs(env.id),
    ])
      expectStatus(answer, 404);
    expectStatus(await visit(platform.instance, hostOf(env.id), "/health"), 200);
    expect((await as("eve").show(env.id)).body.id).toBe(env.id);
    expectStatus(await as("eve").destroy(env.id), 403);
    await platform.instance.restartApi("SIGKILL");
    expect((await as("ann").list()).body).toHaveLength(1);
    expectStatus(await as("root").destroy(env.id), 200);
    expectStatus(await as("ann").logs(env.id), 200);
    expectStatus(await as("bob").logs(env.id), 404);
  });

  test("creates at once cannot overshoot an owner's quota", async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => as("bob").create()));
    const outcomes = answers.map(({ body }) => body["code"] ?? body.status);
    expect(outcomes.sort()).toEqual(["quota_exceeded", "quota_exceeded", "running", "running"]);
    await Promise.all((await as("bob").list()).body.map(({ id }) => as("bob").destroy(id)));
    expect(await leftovers(platform.instance)).toEqual([]);
  });

  test("the audit log shows admins who changed what", async () => {
    expectStatus(await as("ann").call("GET", "/audit"), 403);
    const { body } = await as("root").call<Record<string, unknown>[]>("GET", "/audit?limit=1000");
    const entries = body.map(({ who, what, result }) => `${who} ${what} ${result}`);
    expect(entries).toEqual(
      expect.arrayContaining(["ann create 201", "bob destroy 404", "eve create 403", "null authenticate 401"]),
    );
    const lines = readFileSync(join(platform.instance.folder, "logs/audit.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(expect.arrayContaining(body));
  });
});

describe("secrets", () => {
  test("secrets reach the container, also one that is made anew, and appear nowhere else", async () => {
    const recording = await recordDockerEvents();
    onTestFinished(() => recording.stop());
    const commandLines: string[] = [];
    const created = new AbortController();
    const watching = (async () => {
      while (!created.signal.aborted) commandLines.push(...(await allCommandLines()));
    })();
    const command = ["node", "-e", `console.log('mine is', process.env.DB_PASSWORD); ${DIGEST_SERVER}`];
    const answer = await as("ann").create({ name: "keeper", command, secrets: { DB_PASSWORD: SECRET } });
    created.abort();
    await watching;
    const { body: env } = expectStatus(answer, 201, { status: "running" });
    expect((await visit(platform.instance, hostOf(env.id))).text).toBe(DIGEST);
    await waitUntil(
      "the masked line",
      async () => (await as("ann").logs(env.id)).body.lines[0]?.endsWith("mine is [redacted]") === true,
    );

    await platform.instance.stopApi("SIGKILL");
    await run("docker", ["rm", "-f", env.container]);
    await platform.instance.startApi();
    await waitUntil(
      "the container made anew",
      async () => (await visit(platform.instance, hostOf(env.id))).text === DIGEST,
    );

    const { folder, output } = platform.instance;
    const saved = join(folder, "envs/secrets", `${env.id}.json`);
    expect((await stat(saved)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "envs/secrets"))).mode & 0o777).toBe(0o700);
    expect(await filesWith(folder, SECRET)).toEqual([saved]);
    expect(await answersAbout(env.id)).not.toContain(SECRET);
    expect(output()).not.toContain(SECRET);
    expect(commandLines.length).toBeGreaterThan(0);
    expect(commandLines.join("\n")).not.toContain(SECRET);
    await as("ann").destroy(env.id);
    await waitUntil("the engine's last event of the environment", () =>
      recording.events.some(({ action, name }) => action === "destroy" && name === env.network),
    );
    expect(recording.lines.join("\n")).not.toContain(SECRET);
    expect(await filesWith(folder, SECRET)).toEqual([]);
    expect(await leftovers(platform.instance)).toEqual([]);
  });

  test("secrets are masked in the output of a container that fails, and leave no file", async () => {
    const command = ["node", "-e", "console.error('cannot log in with ' + process.env.DB_PASSWORD); process.exit(3)"];
    const { body } = expectStatus(await as("ann").create({ command, secrets: { DB_PASSWORD: SECRET } }), 422);
    expect(body["detail"]).toContain("cannot log in with [redacted]");
    expect(await filesWith(platform.instance.folder, SECRET)).toEqual([]);
    expect(platform.instance.output()).not.toContain(SECRET);
  });

  test("secrets are masked where a long line is cut through them", async () => {
    const print = "process.stdout.write('y'.repeat(65528) + process.env.DB_PASSWORD + ' and on\\n')";
    const secrets = { DB_PASSWORD: SECRET };
    const halves = [SECRET.slice(0, 8), SECRET.slice(8)];
    const dying = { command: ["node", "-e", `${print}; process.exitCode = 3`], secrets };
    const { body } = expectStatus(await as("ann").create(dying), 422);
    expect(body["detail"]).toContain("yyy[redacted] and on");
    for (const half of halves) expect(body["detail"]).not.toContain(half);

    const { body: env } = await as("ann").create({ command: ["node", "-e", `${print}; ${DIGEST_SERVER}`], secrets });
    const lines = async () => (await as("ann").logs(env.id)).body.lines;
    await waitUntil("both pieces", async () => (await lines()).length === 2);
    expect((await lines())[0]).toMatch(/yyy\[redacted\]$/);
    expect((await lines())[1]).toMatch(/stdout {2}and on$/);
    for (const half of halves) expect(await filesWith(join(platform.instance.folder, "logs"), half)).toEqual([]);
    await as("ann").destroy(env.id);
  });
});

/** Every answer of the API that could show an environment. */
async function answersAbout(id: string): Promise<string> {
  const headers = { authorization: `Bearer ${platform.instance.tokens["root"]}`, "last-event-id": "0" };
  const paths = ["/envs", `/envs/${id}`, `/envs/${id}/logs`, `/envs/${id}/health`, "/audit", "/healthz"];
  const texts = paths.map(async (path) => (await fetch(platform.instance.apiUrl + path, { headers })).text());
  return (await Promise.all(texts)).join("\n");
}

/** The command line of every process, as `ps` shows it. */
async function allCommandLines(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  return (await Promise.all(lines)).filter((line) => line !== "");
}

async function filesWith(folder: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    if (existsSync(path) && (await stat(path)).isFile() && (await readFile(path, "utf8")).includes(text))
      found.push(path);
  }
  return found;
}
