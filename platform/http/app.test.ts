import request from "supertest";
import { expect, test } from "vitest";
import { PlatformError } from "../kernel/errors.ts";
import { DEMO_IMAGE, createFakeApp, useFakePlatform, type FakePlatform } from "../test/support/fake-platform.ts";

const LOG_LINE = {
  timestamp: "2030-01-01T00:00:00.000000000Z",
  service: "app",
  stream: "stdout",
  text: "hello",
} as const;

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

useFakePlatform((fresh) => {
  platform = fresh;
  app = createFakeApp(platform);
});

const create = (body: object = {}) => request(app).post("/envs").send(body);
const createId = async (body: object = {}) => (await create(body)).body.id as string;

test("an empty create answers 201 with a running environment of the demo image and an invented name", async () => {
  const response = await request(app).post("/envs");
  expect(response.status).toBe(201);
  expect(response.headers["location"]).toBe(`/envs/${response.body.id}`);
  expect(response.body).toMatchObject({
    status: "running",
    image: DEMO_IMAGE,
    port: 3000,
    ttl: 1800,
    ttl_remaining: 1800,
    health_path: "/health",
    egress: true,
    outage: null,
  });
  expect(response.body.name).toMatch(/^[a-z]+-[a-z]+$/);
  expect(response.body.url).toBe(`http://${response.body.id}.localhost`);
});

test("environment variables reach the container and are not shown", async () => {
  const response = await create({ env: { GREETING: "hi there" } });
  expect(JSON.stringify(response.body)).not.toContain("hi there");
  expect(platform.environments.get(response.body.id)?.services[0]?.env).toEqual({ GREETING: "hi there" });
});

test.each([
  [{ egress: "no" }, "egress"],
  [{ ttl: 9 }, "ttl"],
  [{ ttl: 86_401 }, "ttl"],
  [{ ttl: "60" }, "ttl"],
  [{ name: "x".repeat(65) }, "name"],
  [{ name: 7 }, "name"],
  [{ port: 0 }, "port"],
  [{ port: 65_536 }, "port"],
  [{ health_path: "health" }, "health_path"],
  [{ health_path: "/a b" }, "health_path"],
  [{ health_path: "/a\r\nX: y" }, "health_path"],
  [{ command: "node" }, "command"],
  [{ command: [] }, "command"],
  [{ env: { "A=B": "x" } }, "env.A=B"],
  [{ env: { ENV_ID: "mine" } }, "env.ENV_ID"],
  [{ env: { A: "nul\0" } }, "env.A"],
  [{ resources: { cpus: 64 } }, "resources.cpus"],
  [{ resources: { memory_mb: 1 } }, "resources.memory_mb"],
  [{ image: "Not An Image" }, "image"],
  [{ unknown: 1 }, ""],
  [[], ""],
  ["text", ""],
  [null, ""],
])("a create with %j answers 400, names %j and makes nothing", async (body, path) => {
  const response = await request(app).post("/envs").type("application/json").send(JSON.stringify(body));
  expect(response.status).toBe(400);
  expect(response.headers["content-type"]).toContain("application/problem+json");
  expect(response.body).toMatchObject({ status: 400, code: "invalid_request" });
  expect(response.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  expect(platform.environments.all()).toEqual([]);
});

test("a create with an image that cannot be had answers 422 and leaves nothing", async () => {
  const response = await create({ image: "missing:1" });
  expect(response.status).toBe(422);
  expect(response.body.code).toBe("image_not_found");
  expect(platform.environments.all()).toEqual([]);
  expect(platform.workloads.capacity()).toEqual({ environments: 4 });
});

test("create answers 503 with the numbers when every subnet is in use", async () => {
  for (let i = 0; i < 4; i++) expect((await create()).status).toBe(201);
  const response = await create();
  expect(response.status).toBe(503);
  expect(response.body).toMatchObject({ code: "address_pool_exhausted", detail: expect.stringContaining("4 of 4") });
});

test("create leaves nothing when Nginx refuses the route", async () => {
  platform.router.upsert = () => Promise.reject(new PlatformError("ingress_rejected", "Cannot route: no"));
  expect((await create()).body.code).toBe("ingress_rejected");
  const { containers, networks } = await platform.engine.observe();
  expect(containers.map(({ name }) => name)).toEqual(["sandbox-nginx"]);
  expect(networks.map(({ name }) => name)).toEqual(["sandbox"]);
  expect(platform.environments.all()).toEqual([]);
  expect(platform.workloads.capacity()).toEqual({ environments: 4 });
});

test("two creates with the same Idempotency-Key make one environment; another body under it answers 409", async () => {
  const once = () => create({ name: "a" }).set("Idempotency-Key", "key-1");
  const [first, second] = await Promise.all([once(), once()]);
  expect(first.body.id).toBe(second.body.id);
  expect((await create({ name: "b" }).set("Idempotency-Key", "key-1")).status).toBe(409);
  expect((await create({}).set("Idempotency-Key", "x".repeat(256))).status).toBe(400);
  expect(platform.environments.all()).toHaveLength(1);
});

test("create answers shutting_down while the platform stops", async () => {
  platform.stop.abort();
  expect((await create()).body.code).toBe("shutting_down");
});

test("an environment is listed, shown, extended and destroyed", async () => {
  const id = await createId({ name: "one" });
  expect((await request(app).get("/envs")).body.map((env: { id: string }) => env.id)).toEqual([id]);
  platform.clock.advance(60_000);
  expect((await request(app).get(`/envs/${id}`)).body.ttl_remaining).toBe(1740);
  const extended = await request(app).post(`/envs/${id}/extend`).send({ seconds: 60 });
  expect(extended.body).toMatchObject({ ttl: 1860, ttl_remaining: 1800 });
  expect((await request(app).delete(`/envs/${id}`)).body).toMatchObject({ id, status: "destroyed" });
  expect((await request(app).get(`/envs/${id}`)).status).toBe(404);
  expect((await request(app).delete(`/envs/${id}`)).status).toBe(404);
});

test.each(["get", "delete"] as const)("%s of an unknown id answers 404 for any text as the id", async (method) => {
  for (const id of ["env-nope-1", "sandbox-nginx", "..%2f..%2fetc", "%00", "x".repeat(500), "__proto__"]) {
    const response = await request(app)[method](`/envs/${id}`);
    expect(response.status, id).toBe(404);
    expect(response.body.code).toBe("environment_not_found");
  }
});

test("an environment's health has its last checks", async () => {
  const id = await createId();
  const { body } = await request(app).get(`/envs/${id}/health`);
  expect(body).toMatchObject({ env_id: id, status: "running", checks: [{ status: 200, ok: true }] });
});

test("a second outage is a conflict until the first is recovered", async () => {
  const id = await createId();
  const outage = (mode: string) => request(app).post(`/envs/${id}/outage`).send({ mode });
  expect((await outage("pause")).body.outage).toMatchObject({ mode: "pause", service: "app", ends_at: null });
  expect((await outage("crash")).body.code).toBe("conflict");
  expect((await outage("recover")).body.outage).toBeNull();
  expect((await outage("crash")).status).toBe(200);
});

test("logs are JSON, or plain text where Accept asks for it", async () => {
  const id = await createId();
  await platform.logs.append(id, [LOG_LINE]);
  const line = "2030-01-01T00:00:00.000000000Z app stdout hello";
  expect((await request(app).get(`/envs/${id}/logs`)).body).toEqual({ env_id: id, lines: [line] });
  expect((await request(app).get(`/envs/${id}/logs?lines=1`).accept("text/plain")).text).toBe(`${line}\n`);
});

test.each(["application/json", "text/event-stream"])(
  "logs of an unknown environment answer 404 as %s",
  async (type) => {
    expect((await request(app).get("/envs/env-nope-1/logs").accept(type)).status).toBe(404);
  },
);

test.each([
  ["post", "/extend", { seconds: 0 }],
  ["post", "/extend", { seconds: -5 }],
  ["post", "/extend", { seconds: 1.5 }],
  ["post", "/extend", {}],
  ["post", "/outage", { mode: "explode" }],
  ["post", "/outage", {}],
  ["post", "/outage", { mode: "pause", duration: 0 }],
  ["post", "/outage", { mode: "pause", service: "db" }],
  ["get", "/logs?lines=-1", undefined],
  ["get", "/logs?lines=x", undefined],
  ["get", "/logs?lines=10001", undefined],
  ["get", "/logs?since=yesterday", undefined],
  ["get", "/logs?nonsense=1", undefined],
] as const)("%s /envs/:id%s with %j answers 400", async (method, path, body) => {
  const id = await createId();
  expect((await request(app)[method](`/envs/${id}${path}`).send(body)).status).toBe(400);
});

test.each([
  ["GET", "/nowhere", 404, "path_not_found"],
  ["PUT", "/envs", 405, "method_not_allowed"],
  ["PATCH", "/envs/env-a-1", 405, "method_not_allowed"],
  ["GET", "/envs/env-a-1/outage", 405, "method_not_allowed"],
  ["GET", "/envs/%zz", 400, "invalid_request"],
])("%s %s answers %d with the problem document %s", async (method, path, status, code) => {
  const response = await request(app)[method.toLowerCase() as "get"](path);
  expect(response.status).toBe(status);
  expect(response.headers["content-type"]).toContain("application/problem+json");
  expect(response.body).toMatchObject({ status, code, request_id: response.headers["x-request-id"] });
  expect(response.body.detail).toMatch(/\w/);
});

test("a 405 names the allowed methods", async () => {
  expect((await request(app).put("/envs")).headers["allow"]).toBe("GET, HEAD, POST");
});

test.each([
  [400, "invalid_json", "JSON that does not parse", "application/json", "{not json"],
  [415, "unsupported_media_type", "a form", "application/x-www-form-urlencoded", "name=x"],
  [415, "unsupported_media_type", "plain text", "text/plain", "{}"],
  [413, "body_too_large", "300 kB", "application/json", JSON.stringify({ name: "x".repeat(300_000) })],
])("create answers %d %s to a body of %s", async (status, code, _, type, body) => {
  const response = await request(app).post("/envs").set("content-type", type).send(body);
  expect(response.status).toBe(status);
  expect(response.body.code).toBe(code);
});

test("an unexpected failure answers 503 without details", async () => {
  platform.environments.all = () => {
    throw new TypeError("secret internals");
  };
  const response = await request(app).get("/envs");
  expect(response.status).toBe(503);
  expect(response.body.code).toBe("internal_error");
  expect(JSON.stringify(response.body)).not.toContain("secret internals");
});

test("a harmless request id of the caller is kept, any other replaced", async () => {
  expect((await request(app).get("/envs").set("X-Request-Id", "abc-1")).headers["x-request-id"]).toBe("abc-1");
  expect((await request(app).get("/envs").set("X-Request-Id", "a b")).headers["x-request-id"]).not.toBe("a b");
});

test("healthz checks the parts once for all requests within a second", async () => {
  let checks = 0;
  const { info } = platform.engine;
  platform.engine.info = () => (checks++, info());
  const ask = () => request(app).get("/healthz");
  await Promise.all(Array.from({ length: 10 }, ask));
  platform.clock.advance(900);
  await ask();
  expect(checks).toBe(1);
  platform.clock.advance(200);
  await ask();
  expect(checks).toBe(2);
  platform.clock.advance(-60_000);
  await ask();
  expect(checks).toBe(3);
});

test("healthz answers 200 when every part is well", async () => {
  const response = await request(app).get("/healthz");
  expect(response.body).toMatchObject({ status: "ok" });
  expect(response.status).toBe(200);
});

test("healthz answers 503 and the reason when Docker does not answer", async () => {
  platform.engine.info = () => Promise.reject(new PlatformError("engine_unavailable", "Docker does not answer"));
  const response = await request(app).get("/healthz");
  expect(response.status).toBe(503);
  expect(response.body.parts.engine).toEqual({ ok: false, detail: "Docker does not answer" });
});

test("healthz answers 503 when the firewall's heartbeat is old", async () => {
  platform.firewall.heartbeat = { state: "boot-1 0123 ours\n", at: platform.clock.now() - 60_000 };
  const response = await request(app).get("/healthz");
  expect(response.status).toBe(503);
  expect(response.body.parts.firewall).toEqual({ ok: false, detail: expect.stringContaining("make up") });
});
