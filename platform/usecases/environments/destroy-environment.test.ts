import { expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { createEnvironment } from "./create-environment.ts";
import { destroyEnvironment } from "./destroy-environment.ts";
import { reconcile } from "../reconcile/reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

test.each(["idle", "busy"] as const)(
  "the route is closed before anything goes, with a front door that is %s",
  async (door) => {
    const { id } = await createEnvironment(context, {});
    context.router.setBusy(door === "busy");
    const { killProcesses } = context.engine.containers;
    const { disconnect } = context.engine.networks;
    const order: string[] = [];
    const note = (what: string) =>
      order.push(`${what}, ${context.router.routeOf(`${id}.localhost`) === null ? "closed" : "open"}`);
    context.engine.containers.killProcesses = async (name) => {
      note("kill");
      await killProcesses(name);
      order.push("killed");
    };
    context.engine.networks.disconnect = async (...args) => {
      note("disconnect");
      return disconnect(...args);
    };
    await destroyEnvironment(context, id);
    const disconnected = order.indexOf("disconnect, closed");
    expect(order.toSorted()).toEqual(["disconnect, closed", "kill, closed", "killed"]);
    if (door === "busy") expect(disconnected).toBeGreaterThan(order.indexOf("killed"));
    else expect(disconnected).toBeLessThan(order.indexOf("killed"));
  },
);

test("a route that cannot be closed keeps nothing else from being taken down", async () => {
  const { id } = await createEnvironment(context, {});
  context.router.disable = () => Promise.reject(new PlatformError("storage_failed", "no"));
  expect(await destroyEnvironment(context, id)).toMatchObject({ status: "destroyed" });
  expect(context.router.routeOf(`${id}.localhost`)).toBe(null);
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
