import { describe, expect, test } from "vitest";
import request from "supertest";
import {
  createFakeApp,
  createFakePlatform,
  expectNothingLeft,
  holdLock,
  useFakePlatform,
  type FakePlatform,
} from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

/** Calls `then` when a container is about to be removed. */
function duringRemoval(then: () => void): void {
  const { remove } = platform.engine.containers;
  platform.engine.containers.remove = async (name) => {
    then();
    return remove(name);
  };
}

/** Starts a platform on the same machine and disk: its first pass takes one environment down, and nothing is left. */
async function expectRestartToClean(): Promise<void> {
  const restarted = await createFakePlatform({ killed: platform });
  expect((await restarted.reconcile({ startup: true })).retired).toHaveLength(1);
  await expectNothingLeft(restarted);
}

test("create answers 503 shutting_down when the platform stops while the image is pulled", async () => {
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
  await expectNothingLeft(platform);
});

test("a destroy that waits for the lock is refused as shutting_down when the platform stops", async () => {
  const { id } = await platform.make({});
  const release = holdLock(platform, id);
  const waiting = platform.destroy(id);
  waiting.catch(() => {});
  platform.stop.abort();
  await release();
  await expect(waiting).rejects.toMatchObject({ code: "shutting_down" });
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
    await expectNothingLeft(platform);
  });

  test("is left half destroyed to the next start when time runs out", async () => {
    const { id } = await platform.make({});
    duringRemoval(() => platform.timeUp.abort());
    await expect(platform.destroy(id)).rejects.toMatchObject({ code: "shutting_down" });
    expect(platform.environments.get(id)?.status).toBe("destroying");
    await expectRestartToClean();
  });

  test("is left half created to the next start when time runs out", async () => {
    const { create } = platform.engine.networks;
    platform.engine.networks.create = async (spec) => {
      platform.timeUp.abort();
      return create(spec);
    };
    await expect(platform.make({})).rejects.toMatchObject({ code: "shutting_down" });
    expect(platform.environments.all()).toMatchObject([{ status: "creating" }]);
    await expectRestartToClean();
  });
});
