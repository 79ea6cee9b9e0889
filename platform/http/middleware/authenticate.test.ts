import request from "supertest";
import { expect, test } from "vitest";
import type { createFakeApp, FakePlatform } from "../../test/support/fake-platform.ts";
import { useTokenApp } from "../../test/support/token-app.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

const { as } = useTokenApp((fresh, freshApp) => {
  platform = fresh;
  app = freshApp;
});

test.each([
  ["no Authorization header", {}],
  ["an unknown token", { authorization: "Bearer t-nobody" }],
  ["another scheme", { authorization: "Basic dDp0" }],
  ["an empty token", { authorization: "Bearer " }],
  ["two tokens", { authorization: "Bearer t-ann t-bob" }],
])("a request with %s answers 401, says how to get a token, and is audited", async (_, headers) => {
  const response = await request(app).get("/envs").set(headers);
  expect(response.status).toBe(401);
  expect(response.headers["www-authenticate"]).toBe("Bearer");
  expect(response.body).toMatchObject({ code: "unauthorized", detail: expect.stringContaining("make token") });
  expect(platform.audit.entries).toMatchObject([{ who: null, what: "authenticate", result: 401, from: "127.0.0.1" }]);
});

test.each(["/nowhere", "/audit", "/events", "/envs/env-a-1/logs", "/healthz/x"])(
  "%s answers 401 without a token",
  async (path) => {
    expect((await request(app).get(path)).status).toBe(401);
  },
);

test("a request without a token answers 401 before its body is read", async () => {
  const response = await request(app).post("/envs").set("content-type", "application/json").send("{ half");
  expect(response.status).toBe(401);
});

test("/healthz answers GET and HEAD without a token, and 401 to every other method", async () => {
  expect((await request(app).get("/healthz")).status).toBe(200);
  expect((await request(app).head("/healthz")).status).toBe(200);
  for (const method of ["post", "put", "delete", "patch", "options"] as const)
    expect((await request(app)[method]("/healthz")).status, method).toBe(401);
  const response = await as("root").post("/healthz");
  expect([response.status, response.headers["allow"]]).toEqual([405, "GET, HEAD"]);
});

test("/healthz tells the warm pool's last error only to callers with a token", async () => {
  platform.settings.warmImages = ["private/thing:1"];
  platform.settings.warmPoolSize = 1;
  platform.pool.refill();
  await platform.pool.whenIdle();
  expect((await request(app).get("/healthz")).text).not.toContain("private/thing");
  expect((await as("eve").get("/healthz")).text).toContain("private/thing");
});

test("an address with ten refused tokens a minute is answered 429, and good tokens from there still pass", async () => {
  const attempt = () => request(app).get("/envs").set("authorization", "Bearer guess");
  for (let i = 0; i < 10; i++) expect((await attempt()).status).toBe(401);
  const response = await attempt();
  expect(response.status).toBe(429);
  expect(response.body.code).toBe("too_many_requests");
  expect(Number(response.headers["retry-after"])).toBeGreaterThan(0);
  expect((await as("ann").get("/envs")).status).toBe(200);
});
