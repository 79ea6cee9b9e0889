import { describe, expect, test } from "vitest";
import type { EngineHarness } from "./engine-harness.ts";

/** Networks and who is on them. */
export function describeNetworks(harness: EngineHarness): void {
  const { subject, engine, plan, runningEnvironment, kill } = harness;

  describe("a network", () => {
    test("created twice is one network", async () => {
      const { network } = await plan();
      await engine.networks.create(network);
      await engine.networks.create(network);
      expect((await engine.observe()).networks.map(({ name }) => name)).toEqual([network.name]);
    });

    test("cannot take the name of one with another subnet: conflict", async () => {
      const { network } = await plan();
      await engine.networks.create(network);
      const { subnet, gateway } = await subject.freeSubnet();
      await expect(engine.networks.create({ ...network, subnet, gateway })).rejects.toMatchObject({
        code: "conflict",
      });
    });

    test("cannot take a subnet that overlaps another's: address_pool_exhausted", async () => {
      const { network } = await plan();
      await engine.networks.create(network);
      const second = { ...network, name: `${network.name}-b` };
      await expect(engine.networks.create(second)).rejects.toMatchObject({ code: "address_pool_exhausted" });
    });

    test("is listed with its subnet, ours and another owner's", async () => {
      const foreign = await subject.addForeign();
      const { network } = await plan();
      await engine.networks.create(network);
      const listed = await engine.networks.subnets();
      expect(listed).toContainEqual({ network: network.name, subnet: network.subnet });
      expect(listed.map((range) => range.network)).toContain(foreign.network);
    });

    test("removed is gone though containers are on it, and they live on without it", async () => {
      const { network, spec } = await runningEnvironment();
      await engine.networks.remove(network.name);
      await engine.networks.remove(network.name);
      expect((await engine.observe()).networks).toEqual([]);
      expect(await engine.containers.inspect(spec.name)).toMatchObject({ state: "running", networks: {} });
    });

    test("removed is gone though a paused container is on it", async () => {
      const { network, spec } = await runningEnvironment();
      await engine.containers.pause(spec.name);
      await engine.networks.remove(network.name);
      expect((await engine.observe()).networks).toEqual([]);
    });

    test("moves a container that is attached at another address", async () => {
      const { network, spec, addresses } = await runningEnvironment();
      const address = addresses[6] ?? "";
      await engine.networks.connect(network.name, spec.name, address);
      expect(await engine.containers.inspect(spec.name)).toMatchObject({ networks: { [network.name]: address } });
    });

    test("takes a container that does not run, which starts on it", async () => {
      const { network, spec } = await runningEnvironment();
      await kill(spec.name);
      await engine.networks.disconnect(network.name, spec.name);
      expect(await engine.containers.inspect(spec.name)).toMatchObject({ state: "exited", networks: {} });
      await engine.networks.connect(network.name, spec.name, spec.address);
      await engine.containers.start(spec.name);
      expect(await engine.containers.inspect(spec.name)).toMatchObject({
        state: "running",
        networks: { [network.name]: spec.address },
      });
    });

    test("keeps a container's other networks as they are", async () => {
      const { network, spec } = await runningEnvironment();
      const other = await plan();
      await engine.networks.create(other.network);
      await engine.networks.connect(other.network.name, spec.name, other.spec.address);
      expect((await engine.containers.inspect(spec.name))?.networks).toEqual({
        [network.name]: spec.address,
        [other.network.name]: other.spec.address,
      });
      await engine.networks.disconnect(other.network.name, spec.name);
      expect((await engine.containers.inspect(spec.name))?.networks).toEqual({ [network.name]: spec.address });
    });

    test("cannot give an address away twice: engine_failed", async () => {
      const { network, spec } = await runningEnvironment();
      const second = { ...spec, name: `${spec.name}-2`, address: "", aliases: [] };
      const other = await plan();
      await engine.networks.create(other.network);
      await engine.containers.create({ ...second, network: other.network.name, address: other.spec.address });
      await engine.containers.start(second.name);
      await expect(engine.networks.connect(network.name, second.name, spec.address)).rejects.toMatchObject({
        code: "engine_failed",
      });
    });

    test("that is absent, or whose container is, is a conflict to connect and fine to disconnect", async () => {
      const { network, spec } = await plan();
      await engine.networks.disconnect(network.name, spec.name);
      await expect(engine.networks.connect(network.name, spec.name, spec.address)).rejects.toMatchObject({
        code: "conflict",
      });
      await engine.networks.create(network);
      await engine.networks.disconnect(network.name, spec.name);
      await expect(engine.networks.connect(network.name, spec.name, spec.address)).rejects.toMatchObject({
        code: "conflict",
      });
    });
  });
}
