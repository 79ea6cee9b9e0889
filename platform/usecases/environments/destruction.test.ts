import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

test.each(["idle", "busy"] as const)(
  "destroy disables the route before it removes anything, with an edge proxy that is %s",
  async (traffic) => {
    const { id } = await platform.make({});
    platform.router.setBusy(traffic === "busy");
    const { kill } = platform.engine.containers;
    const { disconnect } = platform.engine.networks;
    const order: string[] = [];
    const note = (what: string) =>
      order.push(`${what}, ${platform.router.routeOf(`${id}.localhost`) === null ? "disabled" : "enabled"}`);
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
    const disconnected = order.indexOf("disconnect, disabled");
    expect(order.toSorted()).toEqual(["disconnect, disabled", "kill, disabled", "killed"]);
    if (traffic === "busy") expect(disconnected).toBeGreaterThan(order.indexOf("killed"));
    else expect(disconnected).toBeLessThan(order.indexOf("killed"));
  },
);

test("a route that cannot be disabled does not keep the environment from being destroyed", async () => {
  const { id } = await platform.make({});
  platform.router.disable = () => Promise.reject(new PlatformError("storage_failed", "no"));
  expect(await platform.destroy(id)).toMatchObject({ status: "destroyed" });
  expect(platform.router.routeOf(`${id}.localhost`)).toBe(null);
});

test("a destroy that waits for the reconciler to finish a destruction answers with the place of the logs", async () => {
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
