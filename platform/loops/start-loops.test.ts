import { afterEach, expect, test } from "vitest";
import { INSTANCE, useFakePlatform, type FakePlatform } from "../test/support/fake-platform.ts";
import { waitUntil } from "../test/support/wait-until.ts";
import type { Scheduler } from "./scheduler.ts";
import { startLoops } from "./start-loops.ts";

const NEVER = "0 0 31 12 *";
const schedules = { cleanup: "* * * * * *", health: NEVER, reconcile: NEVER, prune: NEVER };
const containerOf = (id: string) => `${INSTANCE}-${id}-app`;

let platform: FakePlatform;
let loops: Scheduler;
let held: PromiseWithResolvers<void>;

useFakePlatform((fresh) => {
  platform = fresh;
  held = Promise.withResolvers();
});

afterEach(async () => {
  held.resolve();
  await loops.stop();
});

test("an expired environment is destroyed while another's destruction hangs, and stop waits for that one", async () => {
  const [stuck, other] = [await platform.make({ ttl: 10 }), await platform.make({ ttl: 20 })];
  const { remove } = platform.engine.containers;
  let hangs = false;
  platform.engine.containers.remove = async (name) => {
    hangs ||= name === containerOf(stuck.id);
    if (name === containerOf(stuck.id)) await held.promise;
    return remove(name);
  };
  loops = startLoops(platform, schedules);
  platform.clock.advance(11_000);
  await waitUntil("the destruction that hangs", () => hangs);
  platform.clock.advance(10_000);
  await waitUntil("the other one to go", () => platform.environments.get(other.id) === null);
  let stopped = false;
  const stopping = loops.stop().then(() => (stopped = true));
  await Promise.race([stopping, new Promise(setImmediate)]);
  expect(stopped).toBe(false);
  held.resolve();
  await stopping;
  expect(platform.environments.all()).toEqual([]);
});

test("an outage ends while another one's recovery hangs", async () => {
  const [stuck, other] = [await platform.make({}), await platform.make({})];
  await platform.injectOutage(stuck.id, { mode: "pause", duration: 10 });
  await platform.injectOutage(other.id, { mode: "pause", duration: 20 });
  const { unpause } = platform.engine.containers;
  let hangs = false;
  platform.engine.containers.unpause = async (name) => {
    hangs ||= name === containerOf(stuck.id);
    if (name === containerOf(stuck.id)) await held.promise;
    return unpause(name);
  };
  loops = startLoops(platform, schedules);
  platform.clock.advance(11_000);
  await waitUntil("the recovery that hangs", () => hangs);
  platform.clock.advance(10_000);
  await waitUntil("the other one's end", () => platform.environments.get(other.id)?.outage === null);
  expect(platform.environments.get(stuck.id)?.outage).not.toBeUndefined();
});
