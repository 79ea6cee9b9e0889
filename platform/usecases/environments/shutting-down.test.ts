import { describe, expect, test } from "vitest";
import request from "supertest";
import {
  createFakeApp,
  createFakePlatform,
  INSTANCE,
  useFakePlatform,
  type FakePlatform,
} from "../../test/support/fake-platform.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
});

/** Calls `then` once the engine was asked for `method`, and holds that call until it returns. */
function duringRemoval(then: () => void): void {
  const { remove } = platform.engine.containers;
  platform.engine.containers.remove = async (name) => {
    then();
    return remove(name);
  };
}

/** The first pass of a platform that starts on the same machine and disk. */
async function restart() {
  const restarted = await createFakePlatform({ killed: platform });
  return restarted.reconcile({ startup: true });
}

async function expectNothingLeft() {
  const { containers, networks } = await platform.engine.observe();
  expect(containers.map(({ name }) => name)).toEqual([`${INSTANCE}-nginx`]);
  expect(networks.map(({ name }) => name)).toEqual([INSTANCE]);
  expect(platform.environments.all()).toEqual([]);
}

test("a creation whose image is being pulled is refused as shutting_down", async () => {
  const asked = Promise.withResolvers<void>();
  platform.engine.images.ensure = (_reference, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      asked.resolve();
    });
  const creation = request(createFakeApp(platform)).post("/envs").send({});
  const answer = creation.then(({ status, body }) => ({ status, code: body.code }));
  await asked.promise;
  platform.stop.abort();
  expect(await answer).toEqual({ status: 503, code: "shutting_down" });
  await expectNothingLeft();
});

test("a destruction that waits for its turn is not begun", async () => {
  const { id } = await platform.make({});
  const held = Promise.withResolvers<void>();
  const busy = platform.locks.run(id, () => held.promise);
  const waiting = platform.destroy(id);
  platform.stop.abort();
  held.resolve();
  await expect(waiting).rejects.toMatchObject({ code: "shutting_down" });
  await busy;
  expect(platform.environments.get(id)?.status).toBe("running");
  await expect(platform.destroy(id)).rejects.toMatchObject({ code: "shutting_down" });
});

test("an environment that expires while the platform stops is left to the next start, and no failure is reported", async () => {
  const { id } = await platform.make({ ttl: 10 });
  platform.clock.advance(11_000);
  platform.stop.abort();
  await platform.cleanupExpired();
  expect(platform.environments.get(id)?.status).toBe("running");
  expect(platform.events.emitted.filter(({ type }) => type === "environment.expired")).toEqual([]);
});

describe("an operation in progress when the platform is told to stop", () => {
  test("is finished", async () => {
    const { id } = await platform.make({});
    duringRemoval(() => platform.stop.abort());
    expect(await platform.destroy(id)).toMatchObject({ status: "destroyed" });
    await expectNothingLeft();
  });

  test("is left to the next start where time runs out, half destroyed", async () => {
    const { id } = await platform.make({});
    duringRemoval(() => platform.timeUp.abort());
    await expect(platform.destroy(id)).rejects.toMatchObject({ code: "shutting_down" });
    expect(platform.environments.get(id)?.status).toBe("destroying");
    expect((await restart()).retired).toEqual([id]);
    await expectNothingLeft();
  });

  test("is left to the next start where time runs out, half created", async () => {
    const { create } = platform.engine.networks;
    platform.engine.networks.create = async (spec) => {
      platform.timeUp.abort();
      return create(spec);
    };
    await expect(platform.make({})).rejects.toMatchObject({ code: "shutting_down" });
    expect(platform.environments.all()).toMatchObject([{ status: "creating" }]);
    expect((await restart()).retired).toHaveLength(1);
    await expectNothingLeft();
  });
});
