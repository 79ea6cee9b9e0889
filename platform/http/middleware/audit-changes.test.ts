import { connect } from "node:net";
import request from "supertest";
import { expect, test } from "vitest";
import type { AuditEntry } from "../../domain/access/audit.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { createFakeApp, type FakePlatform } from "../../test/support/fake-platform.ts";
import { listen } from "../../test/support/listen.ts";
import { useTokenApp } from "../../test/support/token-app.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

const { as, createAs } = useTokenApp((fresh, freshApp) => {
  platform = fresh;
  app = freshApp;
});

const readAudit = async (query: object = {}): Promise<AuditEntry[]> =>
  (await as("root").get("/audit").query(query)).body;

test("the audit log has every change with its caller and result", async () => {
  const id = await createAs("ann");
  await as("ann").post(`/envs/${id}/outage`).send({ mode: "pause" });
  await as("ann").post(`/envs/${id}/outage`).send({ mode: "recover" });
  await as("bob").delete(`/envs/${id}`);
  await as("root").delete(`/envs/${id}`).set("x-request-id", "r-1");
  await as("eve").post("/halt");
  const entries = await waitUntil("six entries", async () => {
    const read = await readAudit();
    return read.length === 6 ? read : null;
  });
  expect(entries.map(({ who, role, what, env_id, result }) => [who, role, what, env_id, result])).toEqual([
    ["ann", "member", "create", id, 201],
    ["ann", "member", "outage pause", id, 200],
    ["ann", "member", "recover", id, 200],
    ["bob", "member", "destroy", id, 404],
    ["root", "admin", "destroy", id, 200],
    ["eve", "viewer", "halt", null, 403],
  ]);
  expect(entries[4]).toMatchObject({ from: "127.0.0.1", request_id: "r-1", timestamp: expect.any(String) });
  expect(await readAudit({ limit: 2 })).toHaveLength(2);
  expect((await as("root").get("/audit").query({ limit: 0 })).status).toBe(400);
});

test("the audit log has a halt's result for each environment, and its end", async () => {
  const [well, ill] = [await createAs("ann"), await createAs("bob")];
  await as("ann").post(`/envs/${well}/outage`).send({ mode: "pause" });
  await as("bob").post(`/envs/${ill}/outage`).send({ mode: "pause" });
  const { unpause } = platform.engine.containers;
  platform.engine.containers.unpause = (container) =>
    container.includes(ill) ? Promise.reject(new PlatformError("engine_failed", "no")) : unpause(container);
  await as("root").post("/halt");
  const entries = await readAudit({ limit: 3 });
  expect(entries.map(({ who, what, env_id, result }) => [who, what, env_id, result])).toEqual([
    ["root", "halt", well, 200],
    ["root", "halt", ill, 503],
    ["root", "halt", null, 200],
  ]);
  expect(new Set(entries.map(({ change_id }) => change_id)).size).toBe(1);
});

test.each(["ann", "eve"] as const)("%s, who is no admin, may not read the audit log", async (name) => {
  for (const path of ["/audit", "/AUDIT", "/audit/"]) expect((await as(name).get(path)).status).toBe(403);
});

test("without tokens the audit log names the machine's own user, who may read it", async () => {
  platform.tokens = null;
  const open = createFakeApp(platform);
  await request(open).post("/envs").send({ ttl: 30 });
  expect((await request(open).get("/audit")).body).toMatchObject([{ who: "local", role: "admin", what: "create" }]);
  expect(platform.environments.all()[0]?.owner).toBeNull();
});

test("a change is in the audit log before anything happens, and stays there as asked when the platform is killed", async () => {
  const killed = Promise.withResolvers<never>();
  platform.engine.containers.create = () => killed.promise;
  const creation = as("ann").post("/envs").set("x-request-id", "r-1").send({});
  const answered = new Promise((resolve, reject) =>
    creation.end((error, answer) => (error ? reject(error) : resolve(answer))),
  );
  await waitUntil("its beginning", () => platform.environments.all().length === 1);
  const asked = { who: "ann", role: "member", what: "create", result: "asked", env_id: null, request_id: "r-1" };
  expect(platform.audit.entries).toMatchObject([asked]);
  expect(await readAudit()).toMatchObject([asked]);
  killed.reject(new Error("the end of the test"));
  await answered;
  expect(await readAudit()).toMatchObject([{ ...asked, result: 503 }]);
});

test("a change is in the audit log with its result also when the client has left", async () => {
  const gate = Promise.withResolvers<void>();
  const { create } = platform.engine.containers;
  platform.engine.containers.create = (spec) => gate.promise.then(() => create(spec));
  const { server, port } = await listen(app);
  const socket = connect(port, "127.0.0.1");
  socket.write("POST /envs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t-ann\r\n\r\n");
  await waitUntil("the creation", () => platform.environments.all().length === 1);
  socket.destroy();
  await waitUntil(
    "the connection's end",
    () => new Promise((done) => server.getConnections((_, count) => done(count === 0))),
  );
  gate.resolve();
  await waitUntil("the creation's end", () => platform.audit.entries.length === 2);
  const [record] = platform.environments.all();
  expect(record?.status).toBe("running");
  expect(platform.audit.entries[1]).toMatchObject({ who: "ann", what: "create", result: 201, env_id: record?.id });
});

test("a change that has not ended is not hidden by another one with the same request id", async () => {
  const change = { who: "ann", role: "member", env_id: null, from: null, request_id: "r-1" } as const;
  platform.audit.append({ ...change, what: "destroy", change_id: "1", result: "asked" });
  platform.audit.append({ ...change, what: "create", change_id: "2", result: "asked" });
  platform.audit.append({ ...change, what: "create", change_id: "2", result: 201 });
  expect((await readAudit()).map(({ what, result }) => [what, result])).toEqual([
    ["destroy", "asked"],
    ["create", 201],
  ]);
});

test("refusals of one caller with one result are one entry, so that they push no changes out of the log", async () => {
  const id = await createAs("ann");
  for (let i = 0; i < 20; i++) {
    await as("eve").put(`/nowhere/${i}`);
    await as("eve").delete(`/envs/env-${i}`);
    await as("bob").delete(`/envs/${id}`);
    await as("bob").post("/envs").send({ ttl: -i });
    await request(app).get(`/envs/${i}`).set("authorization", `Bearer guess-${i}`);
  }
  const written = platform.audit.entries.map(({ who, result }) => `${who} ${result}`);
  expect(written).toEqual(["ann asked", "ann 201", "eve 403", "bob 404", "bob 400", "null 401"]);
});
