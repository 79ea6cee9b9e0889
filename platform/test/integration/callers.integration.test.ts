import { existsSync, readFileSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { AuditEntry } from "../../domain/access/audit.ts";
import { apiClient, visit } from "../support/api-client.ts";
import { usePlatform } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { makeToken } from "../support/make-token.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const LIMITS = { RATE_LIMIT: "300", CHANGES_LIMIT: "20", API_HOSTS: "sandbox.example.com" };
/** A stream's heartbeat is 15 s. */
const HEARTBEAT_LIMIT_MS = 25_000;

const platform = usePlatform({}, { callers: { ann: "member", bob: "member", root: "admin" } });
const { as } = platform;
const tokensFile = () => join(platform.instance.folder, "tokens.json");

describe("the tokens file", () => {
  test("a token that is taken out of the file is refused without a restart, and its streams end", async () => {
    const gone = await makeToken(tokensFile(), "guest", "viewer");
    const guest = apiClient(platform.instance, gone);
    await waitUntil("the new token", async () => expectStatus(await guest.list(), 200));
    const stream = await fetch(`${platform.instance.apiUrl}/events`, { headers: { authorization: `Bearer ${gone}` } });
    const file = JSON.parse(await readFile(tokensFile(), "utf8")) as { tokens: { name: string }[] };
    await writeFile(tokensFile(), JSON.stringify({ tokens: file.tokens.filter(({ name }) => name !== "guest") }));
    await waitUntil("its refusal", async () => expectStatus(await guest.list(), 401));
    expectStatus(await as("ann").list(), 200);
    let heard = "";
    void stream.text().then((text) => (heard = text));
    await waitUntil("the stream's end", () => heard !== "", HEARTBEAT_LIMIT_MS);
    expect(heard).toMatch(/event: end\ndata: token revoked\n\n$/);
  });

  test("no token is valid while the tokens file is away, and /healthz says so", async () => {
    await rename(tokensFile(), `${tokensFile()}.away`);
    await waitUntil("the refusal", async () => expectStatus(await as("root").list(), 401));
    const health = () => apiClient(platform.instance).call<{ parts: Record<string, unknown> }>("GET", "/healthz");
    const { body } = await waitUntil("a failing /healthz", async () => expectStatus(await health(), 503));
    expect(body.parts["tokens"]).toMatchObject({ ok: false, detail: expect.stringContaining("no token is valid") });
    await rename(`${tokensFile()}.away`, tokensFile());
    await waitUntil("the token to be valid", async () => expectStatus(await as("root").list(), 200));
    await waitUntil("a good /healthz", async () => expectStatus(await health(), 200));
  });
});

describe("the audit log", () => {
  const audit = async () => (await as("root").call<AuditEntry[]>("GET", "/audit?limit=1000")).body as AuditEntry[];
  /** Whether a request's change has begun, read from the file alone. */
  const hasBegun = (id: string) => {
    const path = join(platform.instance.folder, "logs/audit.jsonl");
    const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
    const entries = lines.map((line) => JSON.parse(line) as AuditEntry);
    return entries.some(({ request_id, result }) => request_id === id && result === "asked");
  };

  test("the audit log has the outcome and the environment of a create whose client hung up", async () => {
    const before = (await audit()).length;
    const headers = { authorization: `Bearer ${platform.instance.tokens["ann"]}`, "x-request-id": "hung-up" };
    const left = new AbortController();
    const request = fetch(`${platform.instance.apiUrl}/envs`, { method: "POST", headers, signal: left.signal });
    await waitUntil("the beginning of the create", () => hasBegun("hung-up"));
    left.abort();
    await expect(request).rejects.toThrow("aborted");
    const { env_id, result } = await waitUntil("the end of the create", async () => {
      const entry = (await audit()).slice(before).find(({ request_id }) => request_id === "hung-up");
      return entry?.result === "asked" ? null : entry;
    });
    expect(result).toBe(201);
    expect((await as("ann").list()).body.map(({ id }) => id)).toEqual([env_id]);
    expectStatus(await as("ann").destroy(env_id ?? ""), 200);
  });

  test("the audit log has a create that a kill interrupted, as asked and without an outcome", async () => {
    // It answers no health check, so that its creation waits.
    const command = ["node", "-e", "setInterval(() => {}, 1000)"];
    const creation = as("ann").create({ command }, { "x-request-id": "cut-short" });
    void creation.catch(() => {});
    await waitUntil("the beginning of the create", () => hasBegun("cut-short"));
    await platform.instance.stopApi("SIGKILL");
    await expect(creation).rejects.toThrow("fetch failed");
    await platform.instance.startApi();
    const entries = (await audit()).filter(({ request_id }) => request_id === "cut-short");
    expect(entries).toMatchObject([{ who: "ann", what: "create", result: "asked", env_id: null }]);
    await waitUntil("no leftovers", async () => (await leftovers(platform.instance)).length === 0);
  });
});

describe("limits", () => {
  beforeAll(() => platform.instance.restartApi("SIGTERM", LIMITS));

  test("requests are counted for each token, though all come from one address", async () => {
    const statuses = async (name: string, count: number) =>
      new Set(await Promise.all(Array.from({ length: count }, async () => (await as(name).list()).status)));
    expect(await statuses("ann", 310)).toEqual(new Set([200, 429]));
    expect(await statuses("bob", 10)).toEqual(new Set([200]));
  });

  test("changes have a limit of their own, for each token", async () => {
    const change = async () => (await as("bob").destroy("env-never-1")).status;
    expect(new Set(await Promise.all(Array.from({ length: 20 }, change)))).toEqual(new Set([404]));
    expect(await change()).toBe(429);
    expectStatus(await as("bob").list(), 200);
    expectStatus(await as("root").destroy("env-never-1"), 404);
  });

  test("a create that asks for more than nine tenths of the machine's memory answers 503 without MAX_MEMORY_MB", async () => {
    const memory_mb = Math.floor((totalmem() / 2 ** 20) * 0.95);
    const { body } = expectStatus(await as("root").create({ resources: { memory_mb } }), 503, {
      code: "capacity_exhausted",
    });
    expect(body["detail"]).toContain("MAX_MEMORY_MB");
  });

  test("the API answers to the names in API_HOSTS beside its own, and refuses others", async () => {
    const api = { nginxPort: Number(platform.instance.variables["PLATFORM_PORT"]) };
    expectStatus(await visit(api, "sandbox.example.com", "/healthz"), 200);
    expectStatus(await visit(api, "other.example.com", "/healthz"), 403);
  });
});
