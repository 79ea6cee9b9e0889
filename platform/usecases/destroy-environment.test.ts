import { expect, test } from "vitest";
import { PlatformError } from "../domain/errors.ts";
import { useFakeContext, type FakeContext } from "../test/support/fake-context.ts";
import { createEnvironment } from "./create-environment.ts";
import { destroyEnvironment } from "./destroy-environment.ts";
import { reconcile } from "./reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

test("who asks again while the reconciler finishes a destruction is told that it is destroyed, and where its logs are", async () => {
  const { id } = await createEnvironment(context, {});
  context.engine.failNext("networks.remove", new PlatformError("engine_unavailable", "away"));
  await expect(destroyEnvironment(context, id)).rejects.toMatchObject({ code: "engine_unavailable" });
  const { remove } = context.environments;
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  context.environments.remove = async (gone) => {
    reached.resolve();
    await go.promise;
    return remove(gone);
  };
  const pass = reconcile(context, { startup: false });
  await reached.promise;
  const again = destroyEnvironment(context, id);
  go.resolve();
  expect(await again).toEqual({ id, status: "destroyed", archived_logs: context.logs.archivePath(id) });
  await pass;
});
