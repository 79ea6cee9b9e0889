import { afterEach, expect, test } from "vitest";
import { INSTANCE, useFakeContext, type FakeContext } from "../test/support/fake-context.ts";
import { waitUntil } from "../test/support/wait-until.ts";
import { createEnvironment } from "../usecases/environments/create-environment.ts";
import { injectOutage } from "../usecases/chaos/inject-outage.ts";
import type { Scheduler } from "./scheduler.ts";
import { startLoops } from "./start-loops.ts";

const NEVER = "0 0 31 12 *";
const schedules = { cleanup: "* * * * * *", health: NEVER, reconcile: NEVER, prune: NEVER };
const containerOf = (id: string) => `${INSTANCE}-${id}-app`;

let context: FakeContext;
let loops: Scheduler;
let held: PromiseWithResolvers<void>;

useFakeContext((fresh) => {
  context = fresh;
  held = Promise.withResolvers();
});

afterEach(async () => {
  held.resolve();
  await loops.stop();
});

test("an expired environment is destroyed while another's destruction hangs, and stop waits for that one", async () => {
  const [stuck, other] = [await createEnvironment(context, { ttl: 10 }), await createEnvironment(context, { ttl: 20 })];
  const { remove } = context.engine.containers;
  let hangs = false;
  context.engine.containers.remove = async (name) => {
    hangs ||= name === containerOf(stuck.id);
    if (name === containerOf(stuck.id)) await held.promise;
    return remove(name);
  };
  loops = startLoops(context, schedules);
  context.clock.advance(11_000);
  await waitUntil("the destruction that hangs", () => hangs);
  context.clock.advance(10_000);
  await waitUntil("the other one to go", () => context.environments.get(other.id) === null);
  let stopped = false;
  const stopping = loops.stop().then(() => (stopped = true));
  await Promise.race([stopping, new Promise(setImmediate)]);
  expect(stopped).toBe(false);
  held.resolve();
  await stopping;
  expect(context.environments.all()).toEqual([]);
});

test("an outage ends while another one's recovery hangs", async () => {
  const [stuck, other] = [await createEnvironment(context, {}), await createEnvironment(context, {})];
  await injectOutage(context, stuck.id, { mode: "pause", duration: 10 });
  await injectOutage(context, other.id, { mode: "pause", duration: 20 });
  const { unpause } = context.engine.containers;
  let hangs = false;
  context.engine.containers.unpause = async (name) => {
    hangs ||= name === containerOf(stuck.id);
    if (name === containerOf(stuck.id)) await held.promise;
    return unpause(name);
  };
  loops = startLoops(context, schedules);
  context.clock.advance(11_000);
  await waitUntil("the recovery that hangs", () => hangs);
  context.clock.advance(10_000);
  await waitUntil("the other one's end", () => context.environments.get(other.id)?.outage === null);
  expect(context.environments.get(stuck.id)?.outage).not.toBeUndefined();
});
