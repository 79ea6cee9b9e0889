import { connect } from "node:net";
import request from "supertest";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import type { FakePlatform } from "../../test/support/fake-platform.ts";
import { listen } from "../../test/support/listen.ts";
import { useTokenApp } from "../../test/support/token-app.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { createApp } from "../app.ts";
import { createAuditThrottle } from "./audit-throttle.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createApp>;

const { as, createAs } = useTokenApp((fresh, freshApp) => {
  platform = fresh;
  app = freshApp;
});

describe("the audit log", () => {
  test("has every change: who, what, from where and how it ended, and admins read it", async () => {
    const id = await createAs("ann");
    await as("ann").post(`/envs/${id}/outage`).send({ mode: "pause" });
    await as("ann").post(`/envs/${id}/outage`).send({ mode: "recover" });
    await as("bob").delete(`/envs/${id}`);
    await as("root").delete(`/envs/${id}`).set("x-request-id", "r-1");
    await as("eve").post("/halt");
    const read = () => as("root").get("/audit");
    await waitUntil("six entries", async () => (await read()).body.length === 6);
    const entries = (await read()).body as Record<string, unknown>[];
    expect(entries.map(({ who, role, what, env_id, result }) => [who, role, what, env_id, result])).toEqual([
      ["ann", "member", "create", id, 201],
      ["ann", "member", "outage pause", id, 200],
      ["ann", "member", "recover", id, 200],
      ["bob", "member", "destroy", id, 404],
      ["root", "admin", "destroy", id, 200],
      ["eve", "viewer", "halt", null, 403],
    ]);
    expect(entries[4]).toMatchObject({ from: "127.0.0.1", request_id: "r-1", timestamp: expect.any(String) });
    expect((await read().query({ limit: 2 })).body).toHaveLength(2);
    expect((await read().query({ limit: 0 })).status).toBe(400);
  });

  test("tells of a halt which environments it recovered, which not, and that it ended", async () => {
    const [well, ill] = [await createAs("ann"), await createAs("bob")];
    for (const [name, id] of [
      ["ann", well],
      ["bob", ill],
    ] as const)
      await as(name).post(`/envs/${id}/outage`).send({ mode: "pause" });
    const { unpause } = platform.engine.containers;
    platform.engine.containers.unpause = (container) =>
      container.includes(ill) ? Promise.reject(new PlatformError("engine_failed", "no")) : unpause(container);
    await as("root").post("/halt");
    const entries = (await as("root").get("/audit").query({ limit: 3 })).body as Record<string, unknown>[];
    expect(entries.map(({ who, what, env_id, result }) => [who, what, env_id, result])).toEqual([
      ["root", "halt", well, 200],
      ["root", "halt", ill, 503],
      ["root", "halt", null, 200],
    ]);
    expect(new Set(entries.map(({ change_id }) => change_id)).size).toBe(1);
  });

  test.each(["ann", "eve"] as const)("is not for %s", async (name) => {
    for (const path of ["/audit", "/AUDIT", "/audit/"]) expect((await as(name).get(path)).status).toBe(403);
  });

  test("without tokens is the machine's own user's, who may do everything", async () => {
    platform.tokens = null;
    const open = createApp(platform, { maxTtl: 60, maxCpus: 4, maxMemoryMb: 4096 }, () => ({ ok: true, detail: "" }));
    await request(open).post("/envs").send({ ttl: 30 });
    expect((await request(open).get("/audit")).body).toMatchObject([{ who: "local", role: "admin", what: "create" }]);
    expect(platform.environments.all()[0]?.owner).toBeNull();
  });
});

describe("a change is in the log", () => {
  test("before anything of it happens, and stays there as asked when the platform is killed meanwhile", async () => {
    const killed = Promise.withResolvers<never>();
    platform.engine.containers.create = () => killed.promise;
    const creation = as("ann").post("/envs").set("x-request-id", "r-1").send({});
    const answered = new Promise((resolve, reject) =>
      creation.end((error, answer) => (error ? reject(error) : resolve(answer))),
    );
    await waitUntil("its beginning", () => platform.environments.all().length === 1);
    const asked = { who: "ann", role: "member", what: "create", result: "asked", env_id: null, request_id: "r-1" };
    expect(platform.audit.entries).toMatchObject([asked]);
    expect((await as("root").get("/audit")).body).toMatchObject([asked]);
    killed.reject(new Error("the end of the test"));
    await answered;
    expect((await as("root").get("/audit")).body).toMatchObject([{ ...asked, result: 503 }]);
  });

  test("with what became of it, also when the client did not wait", async () => {
    const gate = Promise.withResolvers<void>();
    const { create } = platform.engine.containers;
    platform.engine.containers.create = (spec) => gate.promise.then(() => create(spec));
    const { server, port } = await listen(app);
    const socket = connect(port, "127.0.0.1");
    socket.write("POST /envs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t-ann\r\n\r\n");
    await waitUntil("the creation", () => platform.environments.all().length === 1);
    socket.destroy();
    await waitUntil(
      "nobody to wait",
      () => new Promise((done) => server.getConnections((_, count) => done(count === 0))),
    );
    gate.resolve();
    await waitUntil("its end", () => platform.audit.entries.length === 2);
    const [record] = platform.environments.all();
    expect(record?.status).toBe("running");
    expect(platform.audit.entries[1]).toMatchObject({ who: "ann", what: "create", result: 201, env_id: record?.id });
  });

  test("and another's is not hidden by giving one's own the same request id", async () => {
    const change = { who: "ann", role: "member", env_id: null, from: null, request_id: "r-1" } as const;
    platform.audit.append({ ...change, what: "destroy", change_id: "1", result: "asked" });
    platform.audit.append({ ...change, what: "create", change_id: "2", result: "asked" });
    platform.audit.append({ ...change, what: "create", change_id: "2", result: 201 });
    const { body } = await as("root").get("/audit");
    expect(body.map(({ what, result }: { what: string; result: unknown }) => [what, result])).toEqual([
      ["destroy", "asked"],
      ["create", 201],
    ]);
  });
});

describe("refusals", () => {
  const refused = (who: string | null, result = 403, from = "192.0.2.1") =>
    ({ who, role: null, what: "x", env_id: null, from, result, request_id: null }) as const;

  test("of one caller are one entry, whatever was asked for: they push no changes out", async () => {
    const id = await createAs("ann");
    for (let i = 0; i < 20; i++) {
      await as("eve").put(`/nowhere/${i}`);
      await as("eve").delete(`/envs/env-${i}`);
      await as("bob").delete(`/envs/${id}`);
      await as("bob").post("/envs").send({ ttl: -i });
      await request(app).get(`/envs/${i}`).set("authorization", `Bearer guess-${i}`);
    }
    const told = platform.audit.entries.map(({ who, result }) => `${who} ${result}`);
    expect(told).toEqual(["ann asked", "ann 201", "eve 403", "bob 404", "bob 400", "null 401"]);
  });

  test("that go on are one entry a minute with their number, the last of them, until they stop", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { note } = createAuditThrottle(platform);
    for (let i = 0; i < 5; i++) note({ ...refused("eve"), what: `PUT /${i}` });
    note(refused("eve", 404));
    note(refused("bob"));
    const entries = () =>
      platform.audit.entries.splice(0).map(({ who, what, result, count }) => [who, what, result, count]);
    expect(entries()).toEqual([
      ["eve", "PUT /0", 403, undefined],
      ["eve", "x", 404, undefined],
      ["bob", "x", 403, undefined],
    ]);
    vi.advanceTimersByTime(60_000);
    expect(entries()).toEqual([["eve", "PUT /4", 403, 4]]);
    note(refused("eve"));
    note(refused("eve"));
    expect(entries()).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(entries()).toEqual([["eve", "x", 403, 2]]);
    vi.advanceTimersByTime(3_600_000);
    expect(entries()).toEqual([]);
    note(refused("eve"));
    expect(entries()).toHaveLength(1);
  });

  test("of tokens are told apart by address, as long as there are few", () => {
    const { note } = createAuditThrottle(platform);
    for (let i = 0; i < 200; i++) note(refused(null, 401, `192.0.2.${i}`));
    expect(platform.audit.entries).toHaveLength(21);
    expect(platform.audit.entries.at(-1)).toMatchObject({ who: null, from: null, result: 401 });
  });

  test("that have not been told of are when the platform stops", () => {
    const { note } = createAuditThrottle(platform);
    for (let i = 0; i < 3; i++) note(refused("eve"));
    platform.stop.abort();
    expect(platform.audit.entries.map(({ count }) => count)).toEqual([undefined, 2]);
  });
});
