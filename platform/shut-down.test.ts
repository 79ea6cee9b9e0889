import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test, vi } from "vitest";
import { shutDown } from "./shut-down.ts";
import { createFakeApp, INSTANCE, useFakeContext, type FakeContext } from "./test/support/fake-context.ts";
import { waitUntil } from "./test/support/wait-until.ts";
import { createEnvironment } from "./usecases/environments/create-environment.ts";
import { fillLater } from "./usecases/pool/warm-pool.ts";
import { handleEngineEvents } from "./usecases/reconcile/handle-engine-events.ts";
import { reconcile } from "./usecases/reconcile/reconcile.ts";
import { onSpareTrouble } from "./usecases/pool/reconcile-pools.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

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
  const { logs, events, audit, shippers } = context;
  const stopAll = shippers.stopAll;
  shippers.stopAll = () => stopAll().then(step("shippers"));
  logs.close = step("logs");
  events.close = step("events");
  audit.close = step("audit");
  const loops = { stop: () => gate("loops") };
  const claim = { release: step("claim") };
  return { trace, gates, gate, end: () => shutDown({ context, server, loops, claim }) };
}

const inTurn = () => new Promise(setImmediate);

const CLOSED = ["shippers", "logs", "events", "audit", "claim"];

test.each(["work", "filling", "lock"])(
  "a platform ends what begins things, then waits for %s, and only then closes what that writes to",
  async (what) => {
    const { id } = await createEnvironment(context, {});
    const { trace, gates, gate, end } = await stopping();
    if (what === "work") void context.tasks.track(gate(what));
    if (what === "filling") context.ahead.filling = gate(what);
    if (what === "lock") void context.locks.run(id, () => gate(what));
    const ending = end();
    for (const name of ["loops", what]) {
      await inTurn();
      expect(trace).not.toContain("shippers");
      gates.get(name)?.();
    }
    await ending;
    expect(trace.splice(0, 2).toSorted()).toEqual(["loops", "server"]);
    expect(trace).toEqual([what, ...CLOSED]);
    expect(context.shippers.active(id)).toEqual([]);
  },
);

describe("nobody waits for", () => {
  const nginx = `${INSTANCE}-nginx`;

  test("the reconcile that a start of Nginx causes, but the end of the platform", async () => {
    const looked = Promise.withResolvers<void>();
    const { observe } = context.engine;
    const look = vi.fn<typeof observe>(() => looked.promise.then(observe));
    context.engine.observe = look;
    void handleEngineEvents(context, context.stopping);
    await context.engine.containers.kill(nginx, "SIGKILL");
    await context.engine.containers.start(nginx);
    await waitUntil("the reconcile", () => look.mock.calls.length > 0);
    const isIdle = vi.fn<() => void>();
    const idle = context.tasks.whenIdle().then(isIdle);
    await inTurn();
    expect(isIdle).not.toHaveBeenCalled();
    looked.resolve();
    await idle;
  });

  test("a creation whose client has left before anything of it was made, but the end of the platform", async () => {
    const found = Promise.withResolvers<void>();
    const { ensure } = context.engine.images;
    const look = vi.fn<typeof ensure>((...image) => found.promise.then(() => ensure(...image)));
    context.engine.images.ensure = look;
    const server = createServer(createFakeApp(context)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = request({ port, host: "127.0.0.1", method: "POST", path: "/envs" }).on("error", () => {});
    client.end();
    await waitUntil("the creation", () => look.mock.calls.length > 0);
    client.destroy();
    await once(server.close(), "close");
    const idle = context.tasks.whenIdle();
    found.resolve();
    await idle;
    expect(context.environments.all()).toMatchObject([{ status: "running" }]);
  });

  test("the removal of a spare that died, but the end of the platform", async () => {
    context.settings.warmPoolSize = 1;
    fillLater(context);
    await waitUntil("a spare", () => context.ahead.spares.some(({ state }) => state === "ready"));
    const [spare] = context.ahead.spares;
    onSpareTrouble(context, spare?.record.id ?? "");
    await context.tasks.whenIdle();
    expect(context.ahead.spares).not.toContain(spare);
  });
});

test("a platform that ends begins no repair", async () => {
  const { id } = await createEnvironment(context, {});
  const container = `${INSTANCE}-${id}-app`;
  await context.engine.containers.remove(container);
  context.stop.abort();
  expect(await reconcile(context, { startup: false })).toMatchObject({ repaired: [], failed: [] });
  expect(await context.engine.containers.inspect(container)).toBeNull();
});

test("a platform that does nothing ends at once", async () => {
  const { trace, gates, end } = await stopping();
  const ending = end();
  gates.get("loops")?.();
  await ending;
  expect(trace.splice(0, 2).toSorted()).toEqual(["loops", "server"]);
  expect(trace).toEqual(CLOSED);
});
