import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { fillPools } from "../../test/support/fill-pools.ts";
import { useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { reconcile } from "../reconcile/reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const ready = () => context.ahead.spares.filter(({ state }) => state === "ready").map(({ record }) => record.id);
/** Fills the pool and has nothing made after that. */
async function spares(count: number): Promise<string[]> {
  await fillPools(context, { spares: count });
  context.settings.warmPoolSize = 0;
  return ready();
}

test("a spare that cannot be given away and not be taken down either is retired by the reconciler, not brought up", async () => {
  const [id] = await spares(1);
  const { enable } = context.router;
  context.router.enable = async () => {
    throw new PlatformError("storage_failed", "read-only");
  };
  context.engine.failNext("containers.remove", new PlatformError("engine_unavailable", "away"));
  await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "storage_failed" });
  context.router.enable = enable;
  expect(context.environments.get(id ?? "")).toMatchObject({ status: "creating" });
  expect(context.events.emitted).toContainEqual(expect.objectContaining({ type: "environment.failed", env_id: id }));
  expect(await reconcile(context, { startup: false })).toMatchObject({ retired: [id], repaired: [], failed: [] });
  expect(context.environments.all()).toEqual([]);
  expect(await context.router.list()).toEqual([]);
  expect(context.subnets.usage().used).toBe(0);
});

test("a front door that fails costs no spare: whoever asks is told what is wrong, as without any", async () => {
  const before = await spares(2);
  context.probe.setDown(true);
  context.router.setDown(true);
  await expect(createEnvironment(context, {})).rejects.toMatchObject({ code: "ingress_unavailable" });
  expect(ready()).toEqual(before);
  context.probe.setDown(false);
  context.router.setDown(false);
  expect((await createEnvironment(context, {})).id).toBe(before[0]);
});
