import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { containerOf, holdLock, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { waitUntil } from "../../test/support/wait-until.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

test("an expiry is audited as the platform's own action, also when it fails", async () => {
  const { id } = await platform.make({ ttl: 10 });
  platform.clock.advance(11_000);
  const { remove } = platform.engine.containers;
  platform.engine.containers.remove = () => Promise.reject(new PlatformError("engine_failed", "Cannot remove: no"));
  await platform.cleanupExpired();
  platform.engine.containers.remove = remove;
  await platform.cleanupExpired();
  const action = { who: "platform", role: "platform", what: "expire", env_id: id, from: null, request_id: null };
  expect(platform.audit.entries).toMatchObject([
    { ...action, result: "failed: Cannot remove: no" },
    { ...action, result: "ok" },
  ]);
  expect(platform.environments.all()).toEqual([]);
});

test("an environment does not expire while it is being created", async () => {
  const id = "env-slow-mf3k2x9a";
  platform.ids.make = () => id;
  platform.probe.set(`${id}.localhost`, "unreachable");
  platform.settings.createTimeout = 60;
  const creating = platform.make({ ttl: 10 });
  await waitUntil("the wait for its health", () => platform.probe.calls.length > 0);
  platform.clock.advance(11_000);
  await platform.cleanupExpired();
  expect(platform.environments.get(id)?.status).toBe("creating");
  platform.probe.set(`${id}.localhost`, { status: 200 });
  expect((await creating).status).toBe("running");
  await platform.cleanupExpired();
  expect(platform.environments.get(id)).toBeNull();
});

test("an expiry that hangs delays no other and is not begun twice", async () => {
  const [stuck, other] = [await platform.make({ ttl: 10 }), await platform.make({ ttl: 20 })];
  const held = Promise.withResolvers<void>();
  const { remove } = platform.engine.containers;
  platform.engine.containers.remove = async (name) => {
    if (name === containerOf(stuck.id)) await held.promise;
    return remove(name);
  };
  platform.clock.advance(11_000);
  const first = platform.cleanupExpired();
  platform.clock.advance(10_000);
  await platform.cleanupExpired();
  expect(platform.environments.all().map(({ id, status }) => [id, status])).toEqual([[stuck.id, "destroying"]]);
  held.resolve();
  await first;
  expect(platform.environments.all()).toEqual([]);
  const expired = platform.events.emitted.filter(({ type }) => type === "environment.expired");
  expect(expired.map(({ env_id }) => env_id)).toEqual([stuck.id, other.id]);
});

test("a destroy that joined an expiry goes on when an extension calls the expiry off", async () => {
  const { id } = await platform.make({ ttl: 10 });
  platform.clock.advance(11_000);
  const release = holdLock(platform, id);
  const extending = platform.extend(id, 3600);
  const sweep = platform.cleanupExpired();
  await waitUntil("the expiry", () => platform.operations.destruction(id) !== undefined);
  const destroying = platform.destroy(id);
  await release();
  expect(await destroying).toMatchObject({ id, status: "destroyed" });
  await Promise.all([extending, sweep]);
  expect(platform.environments.get(id)).toBeNull();
  expect(platform.audit.entries.map(({ result }) => result)).toEqual([
    `failed: Cannot expire environment "${id}": it was extended meanwhile.`,
  ]);
});
