import { describe, expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentLabels } from "../../domain/environment/labels.ts";
import { DEMO_IMAGE, INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

const pass = () => platform.reconcile({ startup: false });
const addressOf = async (container: string, network: string) =>
  (await platform.engine.containers.inspect(container))?.networks[network];

describe("an attachment that was made by hand, at another address,", () => {
  const nginx = `${INSTANCE}-nginx`;

  async function move(network: string, container: string, address: string): Promise<void> {
    await platform.engine.networks.disconnect(network, container);
    await platform.engine.networks.connect(network, container, address);
  }

  test("is moved to the address that the route leads to, for a container", async () => {
    const { id, network, services } = await platform.make({});
    const { container = "" } = services[0] ?? {};
    await move(network, container, "10.172.0.9");
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    expect(await addressOf(container, network)).toBe("10.172.0.3");
    expect(await pass()).toMatchObject({ repaired: [] });
  });

  test("is moved to the proxy's own address, for Nginx", async () => {
    const { id, network } = await platform.make({});
    await move(network, nginx, "10.172.0.9");
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    expect(await addressOf(nginx, network)).toBe("10.172.0.2");
  });
});

describe("a container that was renamed by hand", () => {
  async function rename({ id, network, services }: EnvironmentRecord, to: string): Promise<void> {
    const [service] = services;
    if (service === undefined) throw new TypeError("no service");
    platform.engine.removeBehindOurBack(service.container);
    await platform.engine.containers.create({
      name: to,
      image: DEMO_IMAGE,
      labels: environmentLabels(INSTANCE, id, "app", service.name),
      env: {},
      command: null,
      network,
      address: "10.172.0.3",
      aliases: [],
      resources: service.resources,
    });
    await platform.engine.containers.start(to);
  }

  test("is removed when its successor takes its place", async () => {
    const record = await platform.make({});
    await rename(record, "renamed");
    expect(await pass()).toMatchObject({ repaired: [record.id], failed: [] });
    expect(await platform.engine.containers.inspect("renamed")).toBeNull();
    expect(await platform.engine.containers.inspect(record.services[0]?.container ?? "")).toMatchObject({
      state: "running",
    });
  });

  test("stays when only the state file was edited, which decides nothing", async () => {
    const record = await platform.make({});
    const services = record.services.map((service) => ({ ...service, container: "another" }));
    await platform.environments.save({ ...record, network: "another", services });
    expect(await pass()).toEqual({ repaired: [], retired: [], orphans: [], failed: [] });
    expect(await platform.engine.containers.inspect(record.services[0]?.container ?? "")).not.toBeNull();
  });
});
