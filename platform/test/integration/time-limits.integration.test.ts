import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { apiClient, visit } from "../support/api-client.ts";
import { processRunner } from "../support/api-runner.ts";
import { countingApp } from "../support/counting-app.ts";
import { hostOf } from "../support/describe-platform.ts";
import { openEngineDoor, type EngineDoor } from "../support/engine-doors.ts";
import { aRecord } from "../support/record.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import {
  createTestInstance,
  freePort,
  labelledObjects,
  leftovers,
  type TestInstance,
} from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

/** The setting under test, and what an answer may take beside it on a busy machine. */
const ENGINE_TIMEOUT = 3;
const SLACK_MS = 5_000;
/** What is answered from memory does not wait for anybody. */
const FROM_MEMORY_MS = 1_000;
const HEALTHZ_MS = 5_000;

async function timed<T>(work: Promise<T>): Promise<{ ms: number; value: T }> {
  const started = performance.now();
  const value = await work;
  return { ms: performance.now() - started, value };
}

type Health = { parts: Record<string, { ok: boolean; detail: string }> };

test("an engine that never answers keeps the API neither from starting nor from answering nor from stopping", async () => {
  const folder = await temporaryFolder();
  const door = await openEngineDoor(join(folder, "engine.sock"), { hanging: true });
  const port = await freePort();
  const far = new Date(Date.now() + 3_600_000).toISOString();
  mkdirSync(join(folder, "envs"));
  writeFileSync(join(folder, "envs", `${aRecord().id}.json`), JSON.stringify(aRecord({ expires_at: far })));
  const runner = processRunner({
    PATH: process.env["PATH"],
    INSTANCE: "sandbox-hanging",
    PLATFORM_PORT: String(port),
    DOCKER_SOCKET: join(folder, "engine.sock"),
    ENGINE_TIMEOUT: String(ENGINE_TIMEOUT),
    ENVS_DIR: join(folder, "envs"),
    LOGS_DIR: join(folder, "logs"),
    NGINX_CONF_DIR: join(folder, "conf.d"),
    NGINX_ADDRESS: "10.192.255.2",
    PLATFORM_SUBNET: "10.192.255.0/24",
  });
  onTestFinished(async () => {
    await runner.stop("SIGKILL");
    await door.close();
  });
  const api = apiClient({ apiUrl: `http://127.0.0.1:${port}` });
  await runner.start({});
  await waitUntil("the API to listen", async () => (await api.list()).status === 200, 20_000);

  const create = timed(api.create({}));
  const health = timed(api.call<Health>("GET", "/healthz"));
  const list = await timed(api.list());
  expect(list.value.body.map(({ id }) => id)).toEqual([aRecord().id]);
  expect(list.ms).toBeLessThan(FROM_MEMORY_MS);
  expect((await timed(api.show(aRecord().id))).ms).toBeLessThan(FROM_MEMORY_MS);
  const { ms, value } = await health;
  expect([value.status, value.body.parts["engine"]?.ok]).toEqual([503, false]);
  expect(ms).toBeLessThan(HEALTHZ_MS);
  const refused = await create;
  expect([refused.value.status, refused.value.body["code"]]).toEqual([503, "engine_unavailable"]);
  expect(refused.ms).toBeLessThan(ENGINE_TIMEOUT * 1000 + SLACK_MS);
  expect(await runner.stop("SIGTERM")).toBe(0);
});

describe("a platform whose engine hangs in the middle of its work", () => {
  let door: EngineDoor;
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;

  beforeAll(async () => {
    instance = await createTestInstance({
      ENGINE_TIMEOUT: String(ENGINE_TIMEOUT),
      DOCKER_SOCKET: `/tmp/sandbox-door-${process.pid}.sock`,
      HEALTH_SCHEDULE: "* * * * * *",
      RECONCILE_SCHEDULE: "*/2 * * * * *",
    });
    door = await openEngineDoor(instance.variables["DOCKER_SOCKET"] ?? "");
    api = apiClient(instance);
    await instance.startApi();
  });

  afterAll(async () => {
    door?.goOn();
    await instance?.remove();
    await door?.close();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  test("answers from memory, keeps probing, refuses what it cannot do within its limit, and goes on by itself", async () => {
    const [steady, goner] = [(await api.create({ name: "steady" })).body, (await api.create({ name: "goner" })).body];
    door.hang();
    onTestFinished(() => door.goOn());

    const create = timed(api.create({ name: "late" }));
    const destroy = timed(api.destroy(goner.id));
    const outage = timed(api.outage(steady.id, "pause"));
    for (let round = 0; round < 20; round++) {
      const answers = await timed(
        Promise.all([api.list(), api.show(steady.id), api.logs(steady.id), api.health(steady.id)]),
      );
      expect(answers.value.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(answers.ms).toBeLessThan(FROM_MEMORY_MS);
    }
    // What it said a moment before is said for a second.
    const health = await waitUntil("/healthz to say so", async () => {
      const answer = await timed(api.call<Health>("GET", "/healthz"));
      return answer.value.status === 503 ? answer : null;
    });
    expect(health.value.body.parts["engine"]?.ok).toBe(false);
    expect(health.ms).toBeLessThan(HEALTHZ_MS);
    for (const { ms, value } of await Promise.all([create, destroy, outage])) {
      expect([value.status, value.body["code"]]).toEqual([503, "engine_unavailable"]);
      expect(ms).toBeLessThan(2 * ENGINE_TIMEOUT * 1000 + SLACK_MS);
    }
    const last = async () => (await api.health(steady.id)).body.checks.at(-1);
    const then = (await last())?.timestamp;
    await waitUntil("probes to go on", async () => ((await last())?.timestamp ?? "") > (then ?? ""));
    expect(await last()).toMatchObject({ ok: true });
    expect((await visit(instance, hostOf(steady.id))).status).toBe(200);

    door.goOn();
    await waitUntil(
      "the engine to be well again",
      async () => (await api.call("GET", "/healthz")).status === 200,
      20_000,
    );
    await waitUntil("the half-destroyed one to go", async () => (await api.show(goner.id)).status === 404, 20_000);
    const again = await api.create({ name: "again" });
    expect(again.status).toBe(201);
    await waitUntil(
      "nothing but the living",
      async () => (await leftovers(instance)).every((name) => name.includes(steady.id) || name.includes(again.body.id)),
      20_000,
    );
  });
});

describe("clients that stall", () => {
  let instance: TestInstance;
  let api: ReturnType<typeof apiClient>;

  beforeAll(async () => {
    instance = await createTestInstance({ LOG_LEVEL: "warn" });
    api = apiClient(instance);
    await instance.startApi();
  });

  afterAll(async () => {
    await instance?.remove();
    expect(await labelledObjects(instance.name)).toEqual([]);
  });

  test("cost bounded memory, whatever they ask for and never read, and hold up nobody", async () => {
    const { id } = (await api.create(countingApp("flood", 0, 2000))).body;
    const counts = async () => Number((await visit(instance, hostOf(id))).text);
    await waitUntil("eight megabytes of lines", async () => (await counts()) > 4_000, 60_000);
    const before = residentMegabytes(instance.name);
    const sockets: Socket[] = [];
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
    const stall = (path: string, accept: string) => {
      const socket = connect(Number(new URL(instance.apiUrl).port), "127.0.0.1");
      socket.on("error", () => {});
      socket.pause();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${new URL(instance.apiUrl).host}\r\nAccept: ${accept}\r\n\r\n`);
      sockets.push(socket);
    };
    for (let reader = 0; reader < 20; reader++) {
      stall(`/envs/${id}/logs?lines=10000`, "text/event-stream");
      stall("/events", "text/event-stream");
    }
    for (let reader = 0; reader < 80; reader++) stall(`/envs/${id}/logs?lines=10000`, "application/json");

    // Three times what the kernel keeps for a connection: by then every follower stalls.
    const begun = await counts();
    await waitUntil("every reader to stall", async () => (await counts()) > begun + 6_000, 60_000);
    const stalled = residentMegabytes(instance.name);
    await waitUntil("the flood to go on", async () => (await counts()) > begun + 12_000, 60_000);
    const later = residentMegabytes(instance.name);
    for (let round = 0; round < 20; round++) expect((await timed(api.list())).ms).toBeLessThan(FROM_MEMORY_MS);
    process.stdout.write(
      `120 stalled readers: RSS ${before} MB before, ${stalled} MB stalled, ${later} MB 12 MB of lines later\n`,
    );
    expect(stalled - before).toBeLessThan(400);
    expect(later - stalled).toBeLessThan(80);
    await api.destroy(id);
    expect(await instance.stopApi()).toBe(0);
  });
});

/** Of the API process of an instance, found by its settings. */
function residentMegabytes(instance: string): number {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) =>
      existsSync(`/proc/${pid}/${file}`) ? readFileSync(`/proc/${pid}/${file}`, "utf8") : "";
    try {
      if (!read("cmdline").includes("platform/main.ts") || !read("environ").includes(`INSTANCE=${instance}\0`))
        continue;
      return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(read("status"))?.[1]) / 1024);
    } catch {
      // it ended between two looks
    }
  }
  throw new Error(`no API of ${instance} runs`);
}
