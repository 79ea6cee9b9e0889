import request from "supertest";
import { describe, expect, test } from "vitest";
import { PlatformError } from "../kernel/errors.ts";
import { createFakeApp, useFakeContext, type FakeContext } from "../test/support/fake-context.ts";
import { cleanupExpired } from "../usecases/environments/cleanup-expired.ts";
import { destroyEnvironment } from "../usecases/environments/destroy-environment.ts";
import { reconcile } from "../usecases/reconcile/reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

describe("a retry under the same key is given nothing that is about to be removed, as what", () => {
  test("was cut off while it was being created", async () => {
    const away = () => new PlatformError("engine_unavailable", "away");
    context.engine.failNext("containers.start", away());
    context.engine.failNext("containers.remove", away());
    const app = createFakeApp(context);
    const create = () => request(app).post("/envs").set("idempotency-key", "k-1").send({ name: "again" });
    expect((await create()).status).toBe(503);
    expect(context.environments.all()).toMatchObject([{ status: "creating" }]);
    const retried = await create();
    expect(retried).toMatchObject({ status: 201, body: { status: "running" } });
    await reconcile(context, { startup: false });
    expect((await request(app).get(`/envs/${retried.body.id}`)).status).toBe(200);
    expect((await create()).body.id).toBe(retried.body.id);
  });

  test("has expired, though no sweep has come to it", async () => {
    const app = createFakeApp(context);
    const create = () => request(app).post("/envs").set("idempotency-key", "k-1").send({ ttl: 10 });
    const first = await create();
    context.clock.advance(9_999);
    expect((await create()).body.id).toBe(first.body.id);
    context.clock.advance(1);
    const retried = await create();
    expect(retried).toMatchObject({ status: 201, body: { status: "running", ttl_remaining: 10 } });
    expect(retried.body.id).not.toBe(first.body.id);
    await cleanupExpired(context);
    expect(context.environments.all().map(({ id }) => id)).toEqual([retried.body.id]);
    expect((await create()).body.id).toBe(retried.body.id);
  });

  test("somebody destroys, though that waits for its turn", async () => {
    const app = createFakeApp(context);
    const create = () => request(app).post("/envs").set("idempotency-key", "k-1").send({});
    const { id } = (await create()).body;
    const held = Promise.withResolvers<void>();
    const work = context.locks.run(id, () => held.promise);
    const destruction = destroyEnvironment(context, id);
    const retried = await create();
    expect(retried).toMatchObject({ status: 201, body: { status: "running" } });
    expect(retried.body.id).not.toBe(id);
    held.resolve();
    await Promise.all([work, destruction]);
    expect((await create()).body.id).toBe(retried.body.id);
  });
});
