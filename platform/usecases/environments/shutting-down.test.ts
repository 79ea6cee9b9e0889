import { describe, expect, test } from "vitest";
import request from "supertest";
import { createFakeApp, INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { cleanupExpired } from "./cleanup-expired.ts";
import { createEnvironment } from "./create-environment.ts";
import { destroyEnvironment } from "./destroy-environment.ts";
import { reconcile } from "../reconcile/reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

/** Calls `then` once the engine was asked for `method`, and holds that call until it returns. */
function duringRemoval(then: () => void): void {
  const { remove } = context.engine.containers;
  context.engine.containers.remove = async (name) => {
    then();
    return remove(name);
  };
}

/** The same machine and disk under a platform that has just started. */
function startAgain(): FakeContext {
  return { ...context, stopping: new AbortController().signal, shutdownDeadline: new AbortController().signal };
}

async function expectNothingLeft() {
  const { containers, networks } = await context.engine.observe();
  expect(containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
  expect(networks.map(({ name }) => name)).toEqual([INSTANCE]);
  expect(context.environments.all()).toEqual([]);
}

test("a creation whose image is being pulled is refused as shutting_down", async () => {
  const asked = Promise.withResolvers<void>();
  context.engine.images.ensure = (_reference, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      asked.resolve();
    });
  const creation = request(createFakeApp(context)).post("/envs").send({});
  const answer = creation.then(({ status, body }) => ({ status, code: body.code }));
  await asked.promise;
  context.stop.abort();
  expect(await answer).toEqual({ status: 503, code: "shutting_down" });
  await expectNothingLeft();
});

test("a destruction that waits for its turn is not begun", async () => {
  const { id } = await createEnvironment(context, {});
  const held = Promise.withResolvers<void>();
  const busy = context.locks.run(id, () => held.promise);
  const waiting = destroyEnvironment(context, id);
  context.stop.abort();
  held.resolve();
  await expect(waiting).rejects.toMatchObject({ code: "shutting_down" });
  await busy;
  expect(context.environments.get(id)?.status).toBe("running");
  await expect(destroyEnvironment(context, id)).rejects.toMatchObject({ code: "shutting_down" });
});

test("what expires meanwhile is left to the next start, and nobody is told that it failed", async () => {
  const { id } = await createEnvironment(context, { ttl: 10 });
  context.clock.advance(11_000);
  context.stop.abort();
  await cleanupExpired(context);
  expect(context.environments.get(id)?.status).toBe("running");
  expect(context.events.emitted.filter(({ type }) => type === "environment.expired")).toEqual([]);
});

describe("what is under way when the platform is told to stop", () => {
  test("is finished", async () => {
    const { id } = await createEnvironment(context, {});
    duringRemoval(() => context.stop.abort());
    expect(await destroyEnvironment(context, id)).toMatchObject({ status: "destroyed" });
    await expectNothingLeft();
  });

  test("is left to the next start where time runs out, half destroyed", async () => {
    const { id } = await createEnvironment(context, {});
    duringRemoval(() => context.timeUp.abort());
    await expect(destroyEnvironment(context, id)).rejects.toMatchObject({ code: "shutting_down" });
    expect(context.environments.get(id)?.status).toBe("destroying");
    expect((await reconcile(startAgain(), { startup: true })).retired).toEqual([id]);
    await expectNothingLeft();
  });

  test("is left to the next start where time runs out, half created", async () => {
    const { create } = context.engine.networks;
    context.engine.networks.create = async (spec) => {
      context.timeUp.abort();
      return create(spec);
    };
    await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "shutting_down" });
    expect(context.environments.all()).toMatchObject([{ status: "creating" }]);
    expect((await reconcile(startAgain(), { startup: true })).retired).toHaveLength(1);
    await expectNothingLeft();
  });
});
