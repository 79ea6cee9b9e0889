import { describe, expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentLabels } from "../../domain/environment/labels.ts";
import { DEMO_IMAGE, INSTANCE, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";

let platform: FakePlatform;

useFakePlatform((fresh) => {
  platform = fresh;
});

const pass = () => platform.reconcile({ startup: false });
const addressOf = async (container: string, network: string) =>
  (await platform.engine.containers.inspect(container))?.networks[network];

describe("put back on its network by hand, at another address,", () => {
  const nginx = `${INSTANCE}-nginx`;

  async function move(network: string, container: string, address: string): Promise<void> {
    await platform.engine.networks.disconnect(network, container);
    await platform.engine.networks.connect(network, container, address);
  }

  test("a container is moved to where its route leads", async () => {
    const { id, network, services } = await platform.make({});
    const { container = "", address = "" } = services[0] ?? {};
    await move(network.name, container, address.replace(/\d+$/, "9"));
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    expect(await addressOf(container, network.name)).toBe(address);
    expect(await pass()).toMatchObject({ repaired: [] });
  });

  test("Nginx is moved to its own", async () => {
    const { id, network } = await platform.make({});
    await move(network.name, nginx, network.ingress_address.replace(/\d+$/, "9"));
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    expect(await addressOf(nginx, network.name)).toBe(network.ingress_address);
  });
});

describe("a container that somebody renamed", () => {
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
      network: network.name,
      address: service.address,
      aliases: [],
      resources: service.resources,
    });
    await platform.engine.containers.start(to);
  }

  test("makes room for the one that takes its place", async () => {
    const record = await platform.make({});
    await rename(record, "renamed");
    expect(await pass()).toMatchObject({ repaired: [record.id], failed: [] });
    expect(await platform.engine.containers.inspect("renamed")).toBeNull();
    expect(await platform.engine.containers.inspect(record.services[0]?.container ?? "")).toMatchObject({
      state: "running",
    });
  });

  test("stays where it is the state file that was edited", async () => {
    const record = await platform.make({});
    const services = record.services.map((service) => ({ ...service, container: "another" }));
    await platform.environments.save({ ...record, services });
    expect(await pass()).toMatchObject({ failed: [record.id], orphans: [] });
    expect(await platform.engine.containers.inspect(record.services[0]?.container ?? "")).not.toBeNull();
  });
});
