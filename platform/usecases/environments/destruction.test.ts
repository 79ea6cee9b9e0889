import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
});

test.each(["idle", "busy"] as const)(
  "the route is closed before anything goes, with a front door that is %s",
  async (door) => {
    const { id } = await platform.make({});
    platform.router.setBusy(door === "busy");
    const { kill } = platform.engine.containers;
    const { disconnect } = platform.engine.networks;
    const order: string[] = [];
    const note = (what: string) =>
      order.push(`${what}, ${platform.router.routeOf(`${id}.localhost`) === null ? "closed" : "open"}`);
    platform.engine.containers.kill = async (...args) => {
      note("kill");
      await kill(...args);
      order.push("killed");
    };
    platform.engine.networks.disconnect = async (...args) => {
      note("disconnect");
      return disconnect(...args);
    };
    await platform.destroy(id);
    const disconnected = order.indexOf("disconnect, closed");
    expect(order.toSorted()).toEqual(["disconnect, closed", "kill, closed", "killed"]);
    if (door === "busy") expect(disconnected).toBeGreaterThan(order.indexOf("killed"));
    else expect(disconnected).toBeLessThan(order.indexOf("killed"));
  },
);

test("a route that cannot be closed keeps nothing else from being taken down", async () => {
  const { id } = await platform.make({});
  platform.router.disable = () => Promise.reject(new PlatformError("storage_failed", "no"));
  expect(await platform.destroy(id)).toMatchObject({ status: "destroyed" });
  expect(platform.router.routeOf(`${id}.localhost`)).toBe(null);
});

test("who asks again while the reconciler finishes a destruction is told that it is destroyed, and where its logs are", async () => {
  const { id } = await platform.make({});
  platform.engine.failNext("networks.remove", new PlatformError("engine_unavailable", "away"));
  await expect(platform.destroy(id)).rejects.toMatchObject({ code: "engine_unavailable" });
  const { remove } = platform.environments;
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  platform.environments.remove = async (gone) => {
    reached.resolve();
    await go.promise;
    return remove(gone);
  };
  const pass = platform.reconcile({ startup: false });
  await reached.promise;
  const again = platform.destroy(id);
  go.resolve();
  expect(await again).toEqual({ id, status: "destroyed", archived_logs: platform.logs.archivePath(id) });
  await pass;
});
