import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { apiClient, visit, type Answer } from "../support/api-client.ts";
import { processRunner } from "../support/api-runner.ts";
import { countingApp } from "../support/counting-app.ts";
import { hostOf } from "../support/describe-platform.ts";
import { openEngineDoor, type EngineDoor } from "../support/engine-doors.ts";
import { expectStatus } from "../support/expect-status.ts";
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

/** Seconds: without it, a call to an engine that hangs is never answered. */
const ENGINE_TIMEOUT = 3;

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
  await waitUntil("the API to listen", async () => expectStatus(await api.list(), 200), 20_000);

  const create = api.create({});
  const health = api.call<Health>("GET", "/healthz");
  expect((await api.list()).body.map(({ id }) => id)).toEqual([aRecord().id]);
  expectStatus(await api.show(aRecord().id), 200);
  expectStatus(await health, 503, { parts: { engine: { ok: false } } });
  expectStatus(await create, 503, { code: "engine_unavailable" });
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
    const create = async (name: string) => expectStatus(await api.create({ name }), 201).body;
    const [steady, goner] = [await create("steady"), await create("goner")];
    door.hang();
    onTestFinished(() => door.goOn());

    const changes = [api.create({ name: "late" }), api.destroy(goner.id), api.outage(steady.id, "pause")];
    for (let round = 0; round < 20; round++) {
      const reads = [api.list(), api.show(steady.id), api.logs(steady.id), api.health(steady.id)];
      for (const answer of await Promise.all<Answer<unknown>>(reads)) expectStatus(answer, 200);
    }
    // What it said a moment before is said for a second.
    await waitUntil("/healthz to say so", async () =>
      expectStatus(await api.call<Health>("GET", "/healthz"), 503, { parts: { engine: { ok: false } } }),
    );
    for (const answer of await Promise.all<Answer<unknown>>(changes))
      expectStatus(answer, 503, { code: "engine_unavailable" });
    const last = async () => (await api.health(steady.id)).body.checks.at(-1);
    const then = (await last())?.timestamp;
    await waitUntil("probes to go on", async () => ((await last())?.timestamp ?? "") > (then ?? ""));
    expect(await last()).toMatchObject({ ok: true });
    expectStatus(await visit(instance, hostOf(steady.id)), 200);

    door.goOn();
    await waitUntil(
      "the engine to be well again",
      async () => expectStatus(await api.call("GET", "/healthz"), 200),
      20_000,
    );
    await waitUntil("the half-destroyed one to go", async () => expectStatus(await api.show(goner.id), 404), 20_000);
    const again = await create("again");
    await waitUntil(
      "nothing but the living",
      async () => (await leftovers(instance)).every((name) => name.includes(steady.id) || name.includes(again.id)),
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
    const { id } = expectStatus(await api.create(countingApp("flood", 0, 2000)), 201).body;
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
    for (let round = 0; round < 20; round++) expectStatus(await api.list(), 200);
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
