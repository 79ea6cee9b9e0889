import { get as httpGet } from "node:http";
import request from "supertest";
import { describe, expect, test } from "vitest";
import type { createFakeApp, FakePlatform } from "../../test/support/fake-platform.ts";
import { listen } from "../../test/support/listen.ts";
import { useTokenApp, type Name } from "../../test/support/token-app.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

const { as, createAs } = useTokenApp((fresh, freshApp) => {
  platform = fresh;
  app = freshApp;
});

describe("without a good token", () => {
  test.each([
    ["none", undefined],
    ["a wrong one", "Bearer t-nobody"],
    ["another scheme", "Basic dDp0"],
    ["an empty one", "Bearer "],
    ["one in two words", "Bearer t-ann t-bob"],
  ])("%s answers 401 and says what is wanted", async (_name, header) => {
    const call = request(app).get("/envs");
    const response = await (header === undefined ? call : call.set("authorization", header));
    expect(response.status).toBe(401);
    expect(response.headers["www-authenticate"]).toBe("Bearer");
    expect(response.body).toMatchObject({ code: "unauthorized", detail: expect.stringContaining("make token") });
    expect(platform.audit.entries).toMatchObject([{ who: null, what: "authenticate", result: 401, from: "127.0.0.1" }]);
  });

  test.each(["/nowhere", "/audit", "/events", "/envs/env-a-1/logs", "/healthz/x"])("%s is closed", async (path) => {
    expect((await request(app).get(path)).status).toBe(401);
  });

  test("a body is not even read", async () => {
    const response = await request(app).post("/envs").set("content-type", "application/json").send("{ half");
    expect(response.status).toBe(401);
  });

  test("/healthz answers who looks at it, and nobody who wants anything else of it", async () => {
    expect((await request(app).get("/healthz")).status).toBe(200);
    expect((await request(app).head("/healthz")).status).toBe(200);
    for (const method of ["post", "put", "delete", "patch", "options"] as const)
      expect((await request(app)[method]("/healthz")).status, method).toBe(401);
    const response = await as("root").post("/healthz");
    expect([response.status, response.headers["allow"]]).toEqual([405, "GET, HEAD"]);
  });

  test("/healthz keeps to itself what could not be made ahead, and why", async () => {
    platform.ahead.trouble = "Cannot pull image private/thing:1";
    expect((await request(app).get("/healthz")).text).not.toContain("private/thing");
    expect((await as("eve").get("/healthz")).text).toContain("private/thing");
  });

  test("refusals are limited by address, and good tokens from there still pass", async () => {
    const attempt = () => request(app).get("/envs").set("authorization", "Bearer guess");
    for (let i = 0; i < 10; i++) expect((await attempt()).status).toBe(401);
    const response = await attempt();
    expect(response.status).toBe(429);
    expect(response.body.code).toBe("too_many_requests");
    expect(Number(response.headers["retry-after"])).toBeGreaterThan(0);
    expect((await as("ann").get("/envs")).status).toBe(200);
  });

  test("refusals count by the address that connects, whatever a header says it is", async () => {
    const { port } = await listen(app);
    const attempt = (localAddress: string, forwarded: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = { "x-forwarded-for": forwarded, forwarded: `for=${forwarded}` };
        httpGet({ port, localAddress, path: "/envs", headers }, (response) => resolve(response.resume().statusCode)).on(
          "error",
          reject,
        );
      });
    for (let i = 0; i < 10; i++) expect(await attempt("127.0.0.1", `192.0.2.${i}`)).toBe(401);
    expect(await attempt("127.0.0.1", "192.0.2.99")).toBe(429);
    expect(await attempt("127.0.0.2", "192.0.2.99")).toBe(401);
  });
});

describe("a member", () => {
  test("owns what it creates and sees only that", async () => {
    const [ann, bob] = [await createAs("ann", { name: "a" }), await createAs("bob", { name: "b" })];
    expect(platform.environments.get(ann)?.owner).toBe("ann");
    expect((await as("ann").get("/envs")).body.map((env: { id: string }) => env.id)).toEqual([ann]);
    expect((await as("root").get("/envs")).body.map((env: { id: string }) => env.id)).toEqual([ann, bob]);
    expect((await as("eve").get("/envs")).body).toHaveLength(2);
  });

  test.each([
    ["get", "", undefined],
    ["delete", "", undefined],
    ["put", "", undefined],
    ["post", "/extend", { seconds: 60 }],
    ["post", "/extend", { seconds: "wrong" }],
    ["post", "/outage", { mode: "pause" }],
    ["get", "/logs", undefined],
    ["get", "/logs/", undefined],
    ["get", "/health", undefined],
    ["get", "/deploys", undefined],
  ] as const)("%s of another's %s answers as if it did not exist", async (method, path, body) => {
    const other = await createAs("bob");
    for (const root of ["/envs", "/ENVS"]) {
      const call = (id: string) => as("ann")[method](`${root}/${id}${path}`).send(body);
      const [response, never] = [await call(other), await call("env-never-1")];
      expect(response.status).toBe(404);
      expect(response.body.detail.replace(other, "")).toBe(never.body.detail.replace("env-never-1", ""));
    }
    expect(platform.environments.get(other)).toMatchObject({ status: "running", outage: null, ttl: 1800 });
  });

  test("waits as long for another's environment as for one that never was", async () => {
    const other = await createAs("bob");
    const looked: string[] = [];
    const { archivedOwner } = platform.logs;
    platform.logs.archivedOwner = (id) => (looked.push(id), archivedOwner(id));
    for (const id of [other, "env-never-1"]) expect((await as("ann").get(`/envs/${id}`)).status).toBe(404);
    expect(looked).toEqual([other, "env-never-1"]);
  });

  test("may do everything with its own", async () => {
    const id = await createAs("ann");
    expect((await as("ann").get(`/envs/${id}`)).status).toBe(200);
    expect((await as("ann").post(`/envs/${id}/extend`).send({ seconds: 60 })).status).toBe(200);
    expect((await as("ann").post(`/envs/${id}/outage`).send({ mode: "pause" })).status).toBe(200);
    expect((await as("ann").delete(`/envs/${id}`)).status).toBe(200);
  });

  test("reads the logs of its own after they are archived, and not another's", async () => {
    const id = await createAs("ann");
    await platform.logs.append(id, [
      { timestamp: "2030-01-01T00:00:00.000000000Z", service: "app", stream: "stdout", text: "hello" },
    ]);
    await as("ann").delete(`/envs/${id}`);
    expect((await as("ann").get(`/envs/${id}/logs`)).body.lines).toHaveLength(1);
    expect((await as("bob").get(`/envs/${id}/logs`)).status).toBe(404);
    expect((await as("eve").get(`/envs/${id}/logs`)).status).toBe(200);
  });

  test("has Idempotency-Keys of its own", async () => {
    const once = (name: Name) => as(name).post("/envs").set("idempotency-key", "k").send({});
    const [ann, bob] = [(await once("ann")).body.id, (await once("bob")).body.id];
    expect(ann).not.toBe(bob);
    expect((await once("ann")).body.id).toBe(ann);
  });

  test("has them also while another's creation under the same key is under way", async () => {
    const gate = Promise.withResolvers<void>();
    const { create } = platform.engine.containers;
    platform.engine.containers.create = (spec) => gate.promise.then(() => create(spec));
    const once = (name: Name) => as(name).post("/envs").set("idempotency-key", "k").send({});
    const both = Promise.all([once("ann"), once("bob")]);
    await waitUntil("both to be under way", () => platform.environments.all().length === 2);
    gate.resolve();
    const [ann, bob] = await both;
    expect([ann.status, bob.status]).toEqual([201, 201]);
    expect(platform.environments.get(ann.body.id)?.owner).toBe("ann");
    expect(platform.environments.get(bob.body.id)?.owner).toBe("bob");
  });

  test("hears of its own environments only, also of their end", async () => {
    const stream = as("ann")
      .get("/events")
      .set("last-event-id", "0")
      .then(({ text }) => text);
    const [ann, bob] = [await createAs("ann"), await createAs("bob")];
    await as("bob").delete(`/envs/${bob}`);
    await as("ann").delete(`/envs/${ann}`);
    platform.events.emit({ type: "platform.stopping", env_id: null });
    await platform.events.close(); // ends the stream after what was emitted before
    const heard = await stream;
    expect(heard.match(/^event: environment\..*$/gm)).toEqual([
      "event: environment.creating",
      "event: environment.running",
      "event: environment.destroying",
      "event: environment.destroyed",
    ]);
    expect(heard).not.toContain(bob);
    expect(heard).not.toContain("platform.stopping");
  });

  test.each(["/halt", "/HALT/"])("may not POST %s", async (path) => {
    expect((await as("ann").post(path)).body.code).toBe("forbidden");
  });
});

describe("a viewer", () => {
  test("reads everything and changes nothing", async () => {
    const id = await createAs("ann");
    expect((await as("eve").get(`/envs/${id}`)).status).toBe(200);
    for (const call of [
      as("eve").post("/envs").send({}),
      as("eve").delete(`/envs/${id}`),
      as("eve").post(`/envs/${id}/outage`).send({ mode: "crash" }),
      as("eve").post("/halt"),
    ]) {
      expect((await call).body).toMatchObject({ status: 403, code: "forbidden" });
    }
    expect(platform.environments.all()).toHaveLength(1);
  });
});
