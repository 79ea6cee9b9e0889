import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { cleanupExpired } from "./cleanup-expired.ts";
import { createEnvironment } from "./create-environment.ts";
import { destroyEnvironment } from "./destroy-environment.ts";
import { extendEnvironment } from "./extend-environment.ts";

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

test("an environment that is still being created does not expire, however long that takes", async () => {
  const id = "env-slow-mf3k2x9a";
  context.makeId = () => id;
  context.probe.set(`${id}.localhost`, "unreachable");
  context.settings.createTimeout = 60;
  const creating = createEnvironment(context, { ttl: 10 });
  await waitUntil("the wait for its health", () => context.probe.calls.length > 0);
  context.clock.advance(11_000);
  await cleanupExpired(context);
  expect(context.environments.get(id)?.status).toBe("creating");
  context.probe.set(`${id}.localhost`, { status: 200 });
  expect((await creating).status).toBe("running");
  await cleanupExpired(context);
  expect(context.environments.get(id)).toBeNull();
});

test("a destruction that hangs keeps no other environment, and is not begun twice", async () => {
  const [stuck, other] = [await createEnvironment(context, { ttl: 10 }), await createEnvironment(context, { ttl: 20 })];
  const held = Promise.withResolvers<void>();
  const { remove } = context.engine.containers;
  context.engine.containers.remove = async (name) => {
    if (name === `${INSTANCE}-${stuck.id}-app`) await held.promise;
    return remove(name);
  };
  context.clock.advance(11_000);
  const first = cleanupExpired(context);
  context.clock.advance(10_000);
  await cleanupExpired(context);
  expect(context.environments.all().map(({ id, status }) => [id, status])).toEqual([[stuck.id, "destroying"]]);
  held.resolve();
  await first;
  expect(context.environments.all()).toEqual([]);
  const expired = context.events.emitted.filter(({ type }) => type === "environment.expired");
  expect(expired.map(({ env_id }) => env_id)).toEqual([stuck.id, other.id]);
});

test("an expiry that an extension calls off fails nobody's DELETE that joined it", async () => {
  const { id } = await createEnvironment(context, { ttl: 10 });
  context.clock.advance(11_000);
  const held = Promise.withResolvers<void>();
  const busy = context.locks.run(id, () => held.promise);
  const extending = extendEnvironment(context, id, 3600);
  const sweep = cleanupExpired(context);
  await waitUntil("the expiry", () => context.ongoing.destroying.has(id));
  const destroying = destroyEnvironment(context, id);
  held.resolve();
  expect(await destroying).toMatchObject({ id, status: "destroyed" });
  await Promise.all([busy, extending, sweep]);
  expect(context.environments.get(id)).toBeNull();
  expect(context.audit.entries.map(({ result }) => result)).toEqual([
    `failed: Cannot expire environment "${id}": it was extended meanwhile.`,
  ]);
});
