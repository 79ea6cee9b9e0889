import request from "supertest";
import { expect, test } from "vitest";
import { createFakeApp, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

test("requests over the limit answer 429 and when to try again", async () => {
  const app = createFakeApp(platform, { hosts: [], rateLimit: 5, changesLimit: 0 });
  for (let i = 0; i < 5; i++) {
    const response = await request(app).get("/envs");
    expect(response.status).toBe(200);
    expect(response.headers["ratelimit"]).toContain("r=");
  }
  const response = await request(app).get("/envs");
  expect(response.body).toMatchObject({ status: 429, code: "too_many_requests" });
  expect(Number(response.headers["retry-after"])).toBeGreaterThan(0);
});

test("changes over their limit answer 429, failed ones count too, and reads still pass", async () => {
  const app = createFakeApp(platform, { hosts: [], rateLimit: 0, changesLimit: 3 });
  const change = () => request(app).post("/envs/env-nope-1/extend").send({ seconds: 60 });
  for (let i = 0; i < 3; i++) expect((await change()).status).toBe(404);
  const response = await change();
  const detail = expect.stringMatching(/3 changes/);
  expect(response.body).toMatchObject({ status: 429, code: "too_many_requests", detail });
  expect(Number(response.headers["retry-after"])).toBeGreaterThan(0);
  expect((await request(app).delete("/envs/env-nope-1")).status).toBe(429);
  expect((await request(app).get("/envs")).status).toBe(200);
});
