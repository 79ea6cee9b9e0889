// What a restart of the Docker daemon and of the machine does, played on a daemon of its own. Run by
// reboot.integration.test.ts in network and mount namespaces of its own, with a folder to work in;
// prints a line for each promise that held, and fails with the first that did not.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { apiClient, visit } from "./api-client.ts";
import { createSecondEngine } from "./second-engine.ts";
import { createTestInstance, leftovers, rulesStand } from "./test-instance.ts";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);
const EVERY_TWO_SECONDS = "*/2 * * * * *";
const BRIEF_SECONDS = 25;
/** How long an answer may take that needs no engine. */
const AT_ONCE_MS = 5_000;

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
      async () => (await visit(instance, `${id}.localhost`, "/health")).status === 200,
      60_000,
    );
  const health = async () => {
    const { status, body } = await api.call<{ parts: Record<string, { ok: boolean }> }>("GET", "/healthz");
    return { status, parts: body.parts };
  };
  try {
    await instance.startApi();
    const { id, url, expires_at } = (await api.create({ name: "lasting" })).body;
    await answers(id);

    await engine.stop();
    await assertAtOnce(async () => assert.equal((await api.list()).status, 200));
    await assertAtOnce(async () => {
      const { status, body } = await api.create();
      assert.deepEqual([status, body["code"]], [503, "engine_unavailable"]);
    });
    await assertAtOnce(async () => assert.deepEqual((await health()).parts["engine"]?.ok, false));
    assert.equal((await health()).status, 503);
    kept("without an engine reads go on, a create is refused at once and /healthz says why");

    await engine.start();
    await answers(id);
    await waitUntil("health", async () => (await health()).status === 200, 60_000);
    await waitUntil("running", async () => (await api.show(id)).body.status === "running", 60_000);
    const other = (await api.create({ name: "brief", ttl: BRIEF_SECONDS })).body;
    await answers(other.id);
    kept("once the engine is back, everything is, by itself");

    const paused = (await api.create({ name: "paused" })).body;
    assert.equal((await api.outage(paused.id, "pause", { duration: 3_000 })).status, 200);

    await instance.stopApi("SIGKILL");
    await engine.stop();
    await waitUntil("the brief one's time to be over", () => Date.now() > Date.parse(other.expires_at), 60_000);
    const rules = await firewallRules();
    assert.notDeepEqual(rules, []);
    for (const verb of ["-F", "-X"]) await run("iptables", ["-w", verb]);
    assert.deepEqual(await firewallRules(), []);
    await engine.start();
    await waitUntil("the rules", () => rulesStand(instance.name), 60_000);
    assert.deepEqual(await firewallRules(), rules);
    kept("after a reboot the firewall's rules are back before the API is");

    await instance.startApi();
    await answers(id);
    const after = (await api.show(id)).body;
    assert.deepEqual([after.url, after.expires_at], [url, expires_at]);
    assert.ok(Math.abs(after.ttl_remaining - (Date.parse(expires_at) - Date.now()) / 1000) < 3);
    kept("after a reboot an environment is back at its URL with the lifetime it had left");

    await answers(paused.id);
    await waitUntil("the pause to be off the record", async () => (await api.show(paused.id)).body.outage === null);
    kept("after a reboot an outage that the reboot ended is on record as ended");

    await waitUntil("the brief one to be gone", async () => (await api.show(other.id)).status === 404);
    assert.deepEqual(
      (await leftovers(instance)).filter((name) => name.includes(other.id)),
      [],
    );
    kept("after a reboot what expired meanwhile is gone");
  } finally {
    await instance.remove();
  }
}

/**
 * What stands of ours, in this namespace's tables. A daemon without docker0, such as this one, has no
 * DOCKER-USER from its start until the next network comes: the way through the machine is then closed in FORWARD.
 */
async function firewallRules(): Promise<string[]> {
  const { stdout } = await run("iptables", ["-w", "-S"]);
  const ours = stdout.split("\n").filter((line) => line.includes("SANDBOX-"));
  return ours.map((line) => line.replace(/^-A (FORWARD|DOCKER-USER) /, "-A (the way through) "));
}

async function assertAtOnce(act: () => Promise<void>): Promise<void> {
  const started = performance.now();
  await act();
  const took = performance.now() - started;
  assert.ok(took < AT_ONCE_MS, `an answer took ${Math.round(took)} ms`);
}

function kept(promise: string): void {
  console.log(`kept: ${promise}`);
}
