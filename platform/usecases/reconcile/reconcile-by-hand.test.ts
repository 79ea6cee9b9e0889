import { describe, expect, test } from "vitest";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentLabels } from "../../domain/environment/labels.ts";
import { DEMO_IMAGE, INSTANCE, useFakeContext, type FakeContext } from "../../test/support/fake-context.ts";
import { createEnvironment } from "../environments/create-environment.ts";
import { reconcile } from "./reconcile.ts";

let context: FakeContext;

useFakeContext((fresh) => {
  context = fresh;
});

const pass = () => reconcile(context, { startup: false });
const addressOf = async (container: string, network: string) =>
  (await context.engine.containers.inspect(container))?.networks[network];

describe("put back on its network by hand, at another address,", () => {
  const nginx = `${INSTANCE}-nginx`;

  async function move(network: string, container: string, address: string): Promise<void> {
    await context.engine.networks.disconnect(network, container);
    await context.engine.networks.connect(network, container, address);
  }

  test("a container is moved to where its route leads", async () => {
    const { id, network, services } = await createEnvironment(context, {});
    const { container = "", address = "" } = services[0] ?? {};
    await move(network.name, container, address.replace(/\d+$/, "9"));
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    expect(await addressOf(container, network.name)).toBe(address);
    expect(await pass()).toMatchObject({ repaired: [] });
  });

  test("Nginx is moved to its own", async () => {
    const { id, network } = await createEnvironment(context, {});
    await move(network.name, nginx, network.ingress_address.replace(/\d+$/, "9"));
    expect(await pass()).toMatchObject({ repaired: [id], failed: [] });
    expect(await addressOf(nginx, network.name)).toBe(network.ingress_address);
  });
});

describe("a container that somebody renamed", () => {
  async function rename({ id, network, services }: EnvironmentRecord, to: string): Promise<void> {
    const [service] = services;
    if (service === undefined) throw new TypeError("no service");
    context.engine.removeBehindOurBack(service.container);
    await context.engine.containers.create({
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
    await context.engine.containers.start(to);
  }

  test("makes room for the one that takes its place", async () => {
    const record = await createEnvironment(context, {});
    await rename(record, "renamed");
    expect(await pass()).toMatchObject({ repaired: [record.id], failed: [] });
    expect(await context.engine.containers.inspect("renamed")).toBeNull();
    expect(await context.engine.containers.inspect(record.services[0]?.container ?? "")).toMatchObject({
      state: "running",
    });
  });

  test("stays where it is the state file that was edited", async () => {
    const record = await createEnvironment(context, {});
    const services = record.services.map((service) => ({ ...service, container: "another" }));
    await context.environments.save({ ...record, services });
    expect(await pass()).toMatchObject({ failed: [record.id], orphans: [] });
    expect(await context.engine.containers.inspect(record.services[0]?.container ?? "")).not.toBeNull();
  });
});
