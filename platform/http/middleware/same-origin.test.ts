import request from "supertest";
import { describe, expect, test } from "vitest";
import { createFakeApp, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

useFakePlatform((fresh) => {
  platform = fresh;
  app = createFakeApp(platform, {
    hosts: ["sandbox.example.com", "tunnel.example.com:9090"],
    rateLimit: 5,
    changesLimit: 0,
  });
});

describe("Host", () => {
  test.each([
    "127.0.0.1:8080",
    "127.0.0.1",
    "localhost:8080",
    "LOCALHOST",
    "[::1]:8080",
    "sandbox.example.com",
    "sandbox.example.com:443",
    "tunnel.example.com:9090",
  ])("%s is the API's", async (host) => {
    expect((await request(app).get("/envs").set("host", host)).status).toBe(200);
  });

  test.each([
    "evil.example",
    "evil.example:8080",
    "env-a-1.localhost",
    "localhost.evil.example",
    "tunnel.example.com",
    "10.171.0.1:8080",
    "127.0.0.1@evil.example",
    "127.0.0.1:8080:80",
    "2130706433",
    "a b",
  ])("%s is not: a foreign name was made to point here", async (host) => {
    for (const path of ["/envs", "/healthz"]) {
      const response = await request(app).get(path).set("host", host);
      expect([response.status, response.body.code]).toEqual([403, "cross_origin"]);
    }
  });
});

describe("a page of another site", () => {
  test.each([
    [{ origin: "http://evil.example" }],
    [{ origin: "http://env-a-1.localhost" }],
    [{ origin: "http://localhost:3000" }],
    [{ origin: "null" }],
    [{ "sec-fetch-site": "cross-site" }],
    [{ "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }],
    [{ "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" }],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }],
  ])("with %j creates nothing and reads nothing", async (headers) => {
    for (const method of ["post", "get", "delete"] as const) {
      const response = await request(app)[method]("/envs").set("host", "localhost:8080").set(headers);
      expect([response.status, response.body.code]).toEqual([403, "cross_origin"]);
    }
    expect(platform.environments.all()).toEqual([]);
  });

  test("cannot send a form even as a navigation", async () => {
    const navigation = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    expect((await request(app).post("/envs").set(navigation)).status).toBe(403);
    expect((await request(app).get("/envs").set(navigation)).status).toBe(200);
  });

  test("asks in vain whether it may: there is no CORS", async () => {
    const response = await request(app)
      .options("/envs")
      .set({ origin: "http://evil.example", "access-control-request-method": "POST" });
    expect(response.status).toBe(403);
    expect(Object.keys(response.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

test.each([
  [{ origin: "http://localhost:8080", "sec-fetch-site": "same-origin" }],
  [{ origin: "https://localhost:8080" }],
  [{ "sec-fetch-site": "none" }],
  [{}],
])("our own pages and other clients (%j) are served", async (headers) => {
  expect((await request(app).get("/envs").set("host", "localhost:8080").set(headers)).status).toBe(200);
});

test("every answer has strict headers", async () => {
  for (const path of ["/envs", "/nowhere", "/healthz"]) {
    const { headers } = await request(app).get(path);
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(headers["content-security-policy"]).not.toContain("unsafe");
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "no-store",
    });
    expect(headers).not.toHaveProperty("x-powered-by");
    expect(headers).not.toHaveProperty("access-control-allow-origin");
  }
});

test("changes over their limit are 429, whether or not they were any good, and looking goes on", async () => {
  const strict = createFakeApp(platform, { hosts: [], rateLimit: 0, changesLimit: 3 });
  const change = () => request(strict).post("/envs/env-nope-1/extend").send({ seconds: 60 });
  for (let i = 0; i < 3; i++) expect((await change()).status).toBe(404);
  const response = await change();
  expect(response.body).toMatchObject({
    status: 429,
    code: "too_many_requests",
    detail: expect.stringMatching(/3 changes/),
  });
  expect(Number(response.headers["retry-after"])).toBeGreaterThan(0);
  expect((await request(strict).delete("/envs/env-nope-1")).status).toBe(429);
  expect((await request(strict).get("/envs")).status).toBe(200);
});

test("requests over the limit are 429 and told when to try again", async () => {
  for (let i = 0; i < 5; i++) {
    const response = await request(app).get("/envs");
    expect(response.status).toBe(200);
    expect(response.headers["ratelimit"]).toContain("r=");
  }
  const response = await request(app).get("/envs");
  expect(response.body).toMatchObject({ status: 429, code: "too_many_requests" });
  expect(Number(response.headers["retry-after"])).toBeGreaterThan(0);
});
