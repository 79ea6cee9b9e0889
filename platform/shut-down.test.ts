import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test, vi } from "vitest";
import { shutDown } from "./shut-down.ts";
import {
  containerOf,
  createFakeApp,
  INSTANCE,
  useFakePlatform,
  type FakePlatform,
} from "./test/support/fake-platform.ts";
import { fillPools } from "./test/support/fill-pools.ts";
import { waitUntil } from "./test/support/wait-until.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

/** A platform that is told to stop, what it does in which order, and a way to let go of what it waits for. */
async function stopping() {
  const trace: string[] = [];
  const step = (name: string) => async () => void trace.push(name);
  const gates = new Map<string, () => void>();
  const gate = (name: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gates.set(name, resolve);
    return promise.then(step(name));
  };
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.on("close", step("server"));
  const { logs, events, audit, shippers } = platform;
  const stopAll = shippers.stopAll;
  shippers.stopAll = () => stopAll().then(step("shippers"));
  logs.close = step("logs");
  events.close = step("events");
  audit.close = step("audit");
  const loops = { stop: () => gate("loops") };
  const claim = { release: step("claim") };
  return { trace, gates, gate, end: () => shutDown({ platform, server, loops, claim }) };
}

const inTurn = () => new Promise(setImmediate);

const CLOSED = ["shippers", "logs", "events", "audit", "claim"];

test.each(["tasks", "pool", "lock"])(
  "a platform that ends stops its loops, then waits for %s, and only then closes its files",
  async (what) => {
    const { id } = await platform.make({});
    const { trace, gates, gate, end } = await stopping();
    const filling = what === "pool" ? gate(what) : Promise.resolve();
    if (what === "tasks") void platform.tasks.track(gate(what));
    if (what === "pool") platform.pool.whenIdle = () => filling;
    if (what === "lock") void platform.locks.run(id, () => gate(what));
    const ending = end();
    for (const name of ["loops", what]) {
      await inTurn();
      expect(trace).not.toContain("shippers");
      gates.get(name)?.();
    }
    await ending;
    expect(trace.splice(0, 2).toSorted()).toEqual(["loops", "server"]);
    expect(trace).toEqual([what, ...CLOSED]);
    expect(platform.shippers.active(id)).toEqual([]);
  },
);

describe("the end of the platform waits for", () => {
  const nginx = `${INSTANCE}-nginx`;

  test("the reconcile that a start of Nginx causes", async () => {
    const looked = Promise.withResolvers<void>();
    const { observe } = platform.engine;
    const look = vi.fn<typeof observe>(() => looked.promise.then(observe));
    platform.engine.observe = look;
    void platform.handleEngineEvents(platform.stopping);
    await platform.engine.containers.kill(nginx, "SIGKILL");
    await platform.engine.containers.start(nginx);
    await waitUntil("the reconcile", () => look.mock.calls.length > 0);
    const isIdle = vi.fn<() => void>();
    const idle = platform.tasks.whenIdle().then(isIdle);
    await inTurn();
    expect(isIdle).not.toHaveBeenCalled();
    looked.resolve();
    await idle;
  });

  test("a creation whose client has left before anything was made", async () => {
    const found = Promise.withResolvers<void>();
    const { ensure } = platform.engine.images;
    const look = vi.fn<typeof ensure>((...image) => found.promise.then(() => ensure(...image)));
    platform.engine.images.ensure = look;
    const server = createServer(createFakeApp(platform)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = request({ port, host: "127.0.0.1", method: "POST", path: "/envs" }).on("error", () => {});
    client.end();
    await waitUntil("the creation", () => look.mock.calls.length > 0);
    client.destroy();
    await once(server.close(), "close");
    const idle = platform.tasks.whenIdle();
    found.resolve();
    await idle;
    expect(platform.environments.all()).toMatchObject([{ status: "running" }]);
  });

  test("the removal of a warm environment that died", async () => {
    await fillPools(platform, { warm: 1 });
    const [id = ""] = platform.pool.ready();
    platform.pool.onTrouble(id);
    await platform.tasks.whenIdle();
    expect(platform.pool.ids()).not.toContain(id);
  });
});

test("a platform that ends begins no repair", async () => {
  const { id } = await platform.make({});
  await platform.engine.containers.remove(containerOf(id));
  platform.stop.abort();
  expect(await platform.reconcile({ startup: false })).toMatchObject({ repaired: [], failed: [] });
  expect(await platform.engine.containers.inspect(containerOf(id))).toBeNull();
});

test("a platform that does nothing ends at once", async () => {
  const { trace, gates, end } = await stopping();
  const ending = end();
  gates.get("loops")?.();
  await ending;
  expect(trace.splice(0, 2).toSorted()).toEqual(["loops", "server"]);
  expect(trace).toEqual(CLOSED);
});
