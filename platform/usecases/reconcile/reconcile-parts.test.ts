import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { containerOf, INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const pass = () => platform.reconcile({ startup: false });
const down = () => new PlatformError("engine_unavailable", "away");
const told = (type: string) => platform.events.emitted.filter((event) => event.type === type);

/** An environment that lost its container: any pass that gets to it repairs it. */
async function givenDamage(): Promise<string> {
  const { id, services } = await platform.make({});
  platform.engine.removeBehindOurBack(services[0]?.container ?? "");
  return id;
}

describe("an environment is repaired although", () => {
  test.each(["192.168.50.1/24", "172.20.0.1/16", "not-a-range"])(
    "a foreign network has the subnet %s",
    async (subnet) => {
      const id = await givenDamage();
      platform.engine.addForeignNetwork("theirs", subnet);
      expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    },
  );

  test("a network of ours has no readable subnet", async () => {
    const id = await givenDamage();
    const observe = platform.engine.observe;
    platform.engine.observe = async () => {
      const facts = await observe();
      const labels = { "sandbox.platform": INSTANCE };
      return { ...facts, networks: [...facts.networks, { name: `${INSTANCE}-v6`, labels, subnet: "" }] };
    };
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
  });

  test("the taken subnets cannot be looked at, which is reported", async () => {
    const id = await givenDamage();
    platform.engine.networks.subnets = () => Promise.reject(down());
    const what = "tidy up";
    expect(await pass()).toMatchObject({ repaired: [id], failed: [what] });
    expect(told("drift.unrepaired")).toMatchObject([
      { env_id: null, data: { reason: expect.stringContaining(`Cannot ${what}`) } },
    ]);
  });

  test("the state files cannot be looked at", async () => {
    const id = await givenDamage();
    platform.environments.damaged = () => Promise.reject(new PlatformError("storage_failed", "EIO"));
    expect(await pass()).toMatchObject({ repaired: [id], failed: ["look at the state files"] });
  });
});

test("no orphan is removed where the quarantine cannot be read", async () => {
  const { id } = await platform.make({});
  await platform.environments.remove(id);
  platform.environments.quarantined = () => Promise.reject(new PlatformError("storage_failed", "EIO"));
  expect(await pass()).toMatchObject({ orphans: [], failed: ["remove orphans"] });
  expect(await platform.engine.containers.inspect(containerOf(id))).not.toBeNull();
});
