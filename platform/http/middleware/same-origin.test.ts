import request from "supertest";
import { expect, test } from "vitest";
import { expectStrictHeaders } from "../../test/support/expect-contract.ts";
import { createFakeApp, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

useFakePlatform((fresh) => {
  platform = fresh;
  const hosts = ["sandbox.example.com", "tunnel.example.com:9090"];
  app = createFakeApp(platform, { hosts, rateLimit: 0, changesLimit: 0 });
});

test.each([
  "127.0.0.1:8080",
  "127.0.0.1",
  "localhost:8080",
  "LOCALHOST",
  "[::1]:8080",
  "sandbox.example.com",
  "sandbox.example.com:443",
  "tunnel.example.com:9090",
])("a request with the Host %s, one of the API's, is served", async (host) => {
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
])("a request with the Host %s, a foreign name that points here, is refused", async (host) => {
  for (const path of ["/envs", "/healthz"]) {
    const response = await request(app).get(path).set("host", host);
    expect([response.status, response.body.code]).toEqual([403, "cross_origin"]);
  }
});

test.each([
  [{ origin: "http://evil.example" }],
  [{ origin: "http://env-a-1.localhost" }],
  [{ origin: "http://localhost:3000" }],
  [{ origin: "null" }],
  [{ "sec-fetch-site": "cross-site" }],
  [{ "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }],
  [{ "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" }],
  [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }],
])("a page of another site, with %j, can neither read nor change anything", async (headers) => {
  for (const method of ["post", "get", "delete"] as const) {
    const response = await request(app)[method]("/envs").set("host", "localhost:8080").set(headers);
    expect([response.status, response.body.code]).toEqual([403, "cross_origin"]);
  }
  expect(platform.environments.all()).toEqual([]);
});

test("a page of another site may link to the API and cannot send a form", async () => {
  const navigation = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  expect((await request(app).post("/envs").set(navigation)).status).toBe(403);
  expect((await request(app).get("/envs").set(navigation)).status).toBe(200);
});

test("a preflight of another site is refused without a CORS header", async () => {
  const response = await request(app)
    .options("/envs")
    .set({ origin: "http://evil.example", "access-control-request-method": "POST" });
  expect(response.status).toBe(403);
  expectStrictHeaders(response.headers);
});

test.each([
  [{ origin: "http://localhost:8080", "sec-fetch-site": "same-origin" }],
  [{ origin: "https://localhost:8080" }],
  [{ "sec-fetch-site": "none" }],
  [{}],
])("a request of our own pages or of another client, with %j, is served", async (headers) => {
  expect((await request(app).get("/envs").set("host", "localhost:8080").set(headers)).status).toBe(200);
});

test.each(["/envs", "/nowhere", "/healthz"])("%s answers with strict headers and no CORS header", async (path) => {
  expectStrictHeaders((await request(app).get(path)).headers);
});
