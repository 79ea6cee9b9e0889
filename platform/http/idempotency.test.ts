import request from "supertest";
import { expect, test } from "vitest";
import { PlatformError } from "../kernel/errors.ts";
import { createFakeApp, useFakePlatform, type FakePlatform } from "../test/support/fake-platform.ts";

let platform: FakePlatform;
let app: ReturnType<typeof createFakeApp>;

useFakePlatform((fresh) => {
  platform = fresh;
  app = createFakeApp(platform);
});

const create = (body: object = {}) => request(app).post("/envs").set("idempotency-key", "k-1").send(body);

test("a retry under the same key gets a new environment when the first was cut off while it was created", async () => {
  const away = () => new PlatformError("engine_unavailable", "away");
  platform.engine.failNext("containers.start", away());
  platform.engine.failNext("containers.remove", away());
  expect((await create()).status).toBe(503);
  expect(platform.environments.all()).toMatchObject([{ status: "creating" }]);
  const retried = await create();
  expect(retried).toMatchObject({ status: 201, body: { status: "running" } });
  await platform.reconcile({ startup: false });
  expect((await request(app).get(`/envs/${retried.body.id}`)).status).toBe(200);
  expect((await create()).body.id).toBe(retried.body.id);
});

test("a retry under the same key gets a new environment when the first has expired and waits for the sweep", async () => {
  const first = await create({ ttl: 10 });
  platform.clock.advance(9_999);
  expect((await create({ ttl: 10 })).body.id).toBe(first.body.id);
  platform.clock.advance(1);
  const retried = await create({ ttl: 10 });
  expect(retried).toMatchObject({ status: 201, body: { status: "running", ttl_remaining: 10 } });
  expect(retried.body.id).not.toBe(first.body.id);
  await platform.cleanupExpired();
  expect(platform.environments.all().map(({ id }) => id)).toEqual([retried.body.id]);
  expect((await create({ ttl: 10 })).body.id).toBe(retried.body.id);
});

test("a retry under the same key gets a new environment when the first waits to be destroyed", async () => {
  const { id } = (await create()).body;
  const held = Promise.withResolvers<void>();
  const work = platform.locks.run(id, () => held.promise);
  const destruction = platform.destroy(id);
  const retried = await create();
  expect(retried).toMatchObject({ status: 201, body: { status: "running" } });
  expect(retried.body.id).not.toBe(id);
  held.resolve();
  await Promise.all([work, destruction]);
  expect((await create()).body.id).toBe(retried.body.id);
});
