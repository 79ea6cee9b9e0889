import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { visit, type Answer } from "../support/api-client.ts";
import { countingApp } from "../support/counting-app.ts";
import { hostOf, usePlatform } from "../support/describe-platform.ts";
import { createEngineProxy } from "../support/engine-proxy.ts";
import { expectStatus } from "../support/expect-status.ts";
import { residentMib } from "../support/resident-memory.ts";
import { leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

type Health = { parts: Record<string, { ok: boolean; detail: string }> };

describe("an engine that hangs", () => {
  const socket = `/tmp/sandbox-engine-${process.pid}.sock`;
  const proxy = createEngineProxy(socket);
  beforeAll(() => proxy.open());
  afterAll(() => proxy.close());
  const platform = usePlatform({
    ENGINE_TIMEOUT: "5", // seconds, which a loaded machine needs for other calls
    DOCKER_SOCKET: socket,
    HEALTH_SCHEDULE: "* * * * * *",
    RECONCILE_SCHEDULE: "*/2 * * * * *",
  });

  test("an engine that hangs delays no read and no probe, fails changes within their limit, and all goes on after it", async () => {
    const { instance, api } = platform;
    const create = async (name: string) => expectStatus(await api.create({ name }), 201).body;
    const [steady, goner] = [await create("steady"), await create("goner")];
    proxy.hang();
    onTestFinished(() => proxy.resume());

    const changes = [api.create({ name: "late" }), api.destroy(goner.id), api.outage(steady.id, "pause")];
    for (let round = 0; round < 20; round++) {
      const reads = [api.list(), api.show(steady.id), api.logs(steady.id), api.health(steady.id)];
      for (const answer of await Promise.all<Answer<unknown>>(reads)) expectStatus(answer, 200);
    }
    // An answer of /healthz is kept for a second.
    await waitUntil("a failing /healthz", async () =>
      expectStatus(await api.call<Health>("GET", "/healthz"), 503, { parts: { engine: { ok: false } } }),
    );
    for (const answer of await Promise.all<Answer<unknown>>(changes))
      expectStatus(answer, 503, { code: "engine_unavailable" });
    const last = async () => (await api.health(steady.id)).body.checks.at(-1);
    const then = (await last())?.timestamp;
    await waitUntil("one more probe", async () => ((await last())?.timestamp ?? "") > (then ?? ""));
    expect(await last()).toMatchObject({ ok: true });
    expectStatus(await visit(instance, hostOf(steady.id)), 200);

    proxy.resume();
    await waitUntil("a good /healthz", async () => expectStatus(await api.call("GET", "/healthz"), 200), 20_000);
    await waitUntil(
      "the end of the interrupted destroy",
      async () => expectStatus(await api.show(goner.id), 404),
      20_000,
    );
    const again = await create("again");
    await waitUntil(
      "no leftovers of others",
      async () => (await leftovers(instance)).every((name) => name.includes(steady.id) || name.includes(again.id)),
      20_000,
    );
  });

  test("the API starts, answers and stops although the engine never answers", async () => {
    const { instance, api } = platform;
    const { id } = await platform.createDemo({ name: "remembered" });
    const before = (await api.list()).body.map((environment) => environment.id);
    await instance.stopApi();
    proxy.hang();
    onTestFinished(() => proxy.resume());
    const starting = instance.startApi({ ENGINE_TIMEOUT: "1" }).catch(() => "never well");
    await waitUntil("the API to listen", async () => expectStatus(await api.list(), 200), 60_000);

    const [create, health] = [api.create({}), api.call<Health>("GET", "/healthz")];
    expect((await api.list()).body.map((environment) => environment.id)).toEqual(before);
    expectStatus(await api.show(id), 200);
    expectStatus(await health, 503, { parts: { engine: { ok: false } } });
    expectStatus(await create, 503, { code: "engine_unavailable" });
    expect(await instance.stopApi("SIGTERM")).toBe(0);
    expect(await starting).toBe("never well");
  });
});

describe("clients that stall", () => {
  const platform = usePlatform({ LOG_LEVEL: "warn" });

  test("clients that never read cost bounded memory, and delay no other caller", async () => {
    const { instance, api } = platform;
    const { id } = expectStatus(await api.create(countingApp("flood", 0, 8000)), 201).body;
    const counts = async () => Number((await visit(instance, hostOf(id))).text);
    await waitUntil("eight megabytes of lines", async () => (await counts()) > 1_000, 60_000);
    const before = residentMib(instance);
    const sockets: Socket[] = [];
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
    const { host, port } = new URL(instance.apiUrl);
    const stall = (path: string, accept: string) => {
      const socket = connect(Number(port), "127.0.0.1");
      socket.on("error", () => {});
      socket.pause();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n\r\n`);
      sockets.push(socket);
    };
    for (let reader = 0; reader < 20; reader++) {
      stall(`/envs/${id}/logs?lines=10000`, "text/event-stream");
      stall("/events", "text/event-stream");
    }
    for (let reader = 0; reader < 80; reader++) stall(`/envs/${id}/logs?lines=10000`, "application/json");

    // Three times as much as the kernel keeps for a connection: by then every follower stalls.
    const begun = await counts();
    await waitUntil("every reader to stall", async () => (await counts()) > begun + 1_500, 60_000);
    const stalled = residentMib(instance);
    await waitUntil("twelve megabytes more", async () => (await counts()) > begun + 3_000, 60_000);
    const later = residentMib(instance);
    for (let round = 0; round < 20; round++) expectStatus(await api.list(), 200);
    console.log(
      `120 stalled readers: RSS ${before} MiB before, ${stalled} stalled, ${later} after 12 MB more of lines`,
    );
    expect(stalled - before).toBeLessThan(400);
    expect(later - stalled).toBeLessThan(80);
    expectStatus(await api.destroy(id), 200);
    expect(await instance.stopApi()).toBe(0);
  });
});
