import { expect, test } from "vitest";
import { PlatformError } from "../domain/errors.ts";
import { useFakeContext, type FakeContext } from "../test/support/fake-context.ts";
import { cleanupExpired } from "./cleanup-expired.ts";
import { createEnvironment } from "./create-environment.ts";

let context: FakeContext;

useFakeContext((fresh) => (context = fresh));

test("an expiry is in the audit log as the platform's own deed, also one that fails", async () => {
  const { id } = await createEnvironment(context, { ttl: 10 });
  context.clock.advance(11_000);
  const { remove } = context.engine.containers;
  context.engine.containers.remove = () => Promise.reject(new PlatformError("engine_failed", "Cannot remove: no"));
  await cleanupExpired(context);
  context.engine.containers.remove = remove;
  await cleanupExpired(context);
  const deed = { who: "platform", role: "platform", what: "expire", env_id: id, from: null, request_id: null };
  expect(context.audit.entries).toMatchObject([
    { ...deed, result: "failed: Cannot remove: no" },
    { ...deed, result: "ok" },
  ]);
  expect(context.environments.all()).toEqual([]);
});
