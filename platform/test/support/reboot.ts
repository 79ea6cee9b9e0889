// Restarts of the Docker daemon and of the machine, played on a daemon of its own. reboot.integration.test.ts runs it
// in namespaces of its own, with a folder to work in. It prints a line for each promise that was kept, and fails with
// the first that was not.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { apiClient, describeAnswer, visit, type AnyAnswer } from "./api-client.ts";
import { createSecondEngine } from "./second-engine.ts";
import { createTestInstance, leftovers, rulesStand } from "./test-instance.ts";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);
const EVERY_TWO_SECONDS = "*/2 * * * * *";
const BRIEF_SECONDS = 25;

const [folder = "", ...images] = process.argv.slice(2);

await run("ip", ["link", "set", "lo", "up"]);
const engine = await createSecondEngine(join(folder, "engine"));
try {
  await engine.start();
  await copyImages();
  process.env["DOCKER_HOST"] = `unix://${engine.socket}`;
  process.env["DOCKER_SOCKET"] = engine.socket;
  await play();
} finally {
  await engine.stop();
}

/** From the engine of this machine. */
async function copyImages(): Promise<void> {
  const [save, load] = [
    spawn("docker", ["save", ...images], { stdio: ["ignore", "pipe", "inherit"] }),
    spawn("docker", ["--host", `unix://${engine.socket}`, "load"], { stdio: ["pipe", "ignore", "inherit"] }),
  ];
  const loaded = new Promise((done) => load.once("exit", done));
  await pipeline(save.stdout, load.stdin);
  assert.equal(await loaded, 0);
}

async function play(): Promise<void> {
  const instance = await createTestInstance({
    RECONCILE_SCHEDULE: EVERY_TWO_SECONDS,
    CLEANUP_SCHEDULE: EVERY_TWO_SECONDS,
  });
  const api = apiClient(instance);
  const answers = (id: string) =>
    waitUntil(
      `${id} to answer`,
      async () => assertStatus(await visit(instance, `${id}.localhost`, "/health"), 200),
      60_000,
    );
  const health = () => api.call<{ parts: Record<string, { ok: boolean }> }>("GET", "/healthz");
  try {
    await instance.startApi();
    const { id, url, expires_at } = assertStatus(await api.create({ name: "lasting" }), 201).body;
    await answers(id);

    await engine.stop();
    assertStatus(await api.list(), 200);
    assert.equal(assertStatus(await api.create(), 503).body["code"], "engine_unavailable");
    assert.equal(assertStatus(await health(), 503).body.parts["engine"]?.ok, false);
    kept("without an engine reads go on, a create is refused and /healthz says why");

    await engine.start();
    await answers(id);
    await waitUntil("health", async () => assertStatus(await health(), 200), 60_000);
    await waitUntil("running", async () => (await api.show(id)).body.status === "running", 60_000);
    const other = assertStatus(await api.create({ name: "brief", ttl: BRIEF_SECONDS }), 201).body;
    await answers(other.id);
    kept("once the engine is back, the platform and its environments are, by themselves");

    const paused = assertStatus(await api.create({ name: "paused" }), 201).body;
    assertStatus(await api.outage(paused.id, "pause", { duration: 3_000 }), 200);

    await instance.stopApi("SIGKILL");
    await engine.stop();
    await waitUntil(
      "the end of the brief environment's lifetime",
      () => Date.now() > Date.parse(other.expires_at),
      60_000,
    );
    const rules = await firewallRules();
    assert.notDeepEqual(rules, []);
    for (const verb of ["-F", "-X"]) await run("iptables", ["-w", verb]);
    assert.deepEqual(await firewallRules(), []);
    await engine.start();
    // They stand at once; our jump then follows Docker's from FORWARD to DOCKER-USER.
    await waitUntil("the rules", () => rulesStand(instance.name), 60_000);
    await waitUntil("no other rules", async () => assert.deepEqual(await firewallRules(), rules) ?? true, 60_000);
    kept("after a reboot the firewall's rules are back before the API is");

    await instance.startApi();
    await answers(id);
    const secondsLeft = () => (Date.parse(expires_at) - Date.now()) / 1000;
    const most = secondsLeft() + 1;
    const after = (await api.show(id)).body;
    assert.deepEqual([after.url, after.expires_at], [url, expires_at]);
    assert.ok(after.ttl_remaining < most && after.ttl_remaining > secondsLeft() - 1);
    kept("after a reboot an environment is back at its URL with the lifetime it had left");

    await answers(paused.id);
    await waitUntil("the end of the outage", async () => (await api.show(paused.id)).body.outage === null);
    kept("after a reboot an outage that the reboot ended is on record as ended");

    await waitUntil("the end of the brief environment", async () => assertStatus(await api.show(other.id), 404));
    assert.deepEqual(
      (await leftovers(instance)).filter((name) => name.includes(other.id)),
      [],
    );
    kept("after a reboot an environment that expired meanwhile is gone");
  } finally {
    await instance.remove();
  }
}

/**
 * Our rules in this namespace's tables. A daemon without docker0, such as this one, has no DOCKER-USER from its start
 * until the next network comes: our jump is then in FORWARD.
 */
async function firewallRules(): Promise<string[]> {
  const { stdout } = await run("iptables", ["-w", "-S"]);
  const ours = stdout.split("\n").filter((line) => line.includes("SANDBOX-"));
  return ours.map((line) => line.replace(/^-A (FORWARD|DOCKER-USER) /, "-A (FORWARD or DOCKER-USER) "));
}

/** As expectStatus, which needs Vitest. */
function assertStatus<T extends AnyAnswer>(answer: T, status: number): T {
  assert.equal(answer.status, status, describeAnswer(answer));
  return answer;
}

function kept(promise: string): void {
  console.log(`kept: ${promise}`);
}
