import { describe, expect, test } from "vitest";
import type { EngineHarness } from "./engine-harness.ts";

/** Containers' life from create to remove, and whose containers are left alone. */
export function describeContainers(harness: EngineHarness): void {
  const { subject, engine, plan, createdEnvironment, runningEnvironment, kill, stateOf, read } = harness;

  describe("a container", () => {
    test("is created stopped, before its network exists", async () => {
      const { network, spec } = await plan();
      const id = await engine.containers.create(spec);
      expect(await engine.containers.inspect(spec.name)).toEqual({
        id,
        name: spec.name,
        labels: expect.objectContaining(spec.labels),
        state: "created",
        exitCode: null,
        oomKilled: false,
        networks: { [network.name]: spec.address },
        homeNetwork: network.name,
      });
      await engine.networks.create(network);
      await engine.containers.start(spec.name);
      expect(await engine.containers.inspect(spec.name)).toMatchObject({
        state: "running",
        networks: { [network.name]: spec.address },
      });
    });

    test("cannot be created under a name that is taken: conflict", async () => {
      const { spec } = await createdEnvironment();
      await expect(engine.containers.create(spec)).rejects.toMatchObject({ code: "conflict" });
    });

    test("cannot be created from an image that is not there: image_not_found", async () => {
      const { spec } = await plan();
      await expect(engine.containers.create({ ...spec, image: subject.missingImage })).rejects.toMatchObject({
        code: "image_not_found",
      });
      expect(await engine.containers.inspect(spec.name)).toBeNull();
    });

    test("started twice runs once", async () => {
      const { spec } = await runningEnvironment();
      await engine.containers.start(spec.name);
      expect(await stateOf(spec.name)).toBe("running");
    });

    test("cannot be started without its network: conflict", async () => {
      const { spec } = await plan();
      await engine.containers.create(spec);
      await expect(engine.containers.start(spec.name)).rejects.toMatchObject({ code: "conflict" });
    });

    test("cannot be started again on a network that was replaced, only made anew: conflict", async () => {
      const { network, spec } = await runningEnvironment();
      await kill(spec.name);
      await engine.networks.remove(network.name);
      await engine.networks.create(network);
      await expect(engine.containers.start(spec.name)).rejects.toMatchObject({ code: "conflict" });
      await engine.containers.remove(spec.name);
      await engine.containers.create(spec);
      await engine.containers.start(spec.name);
      expect(await stateOf(spec.name)).toBe("running");
    });

    test("paused cannot be started (conflict), but killed and removed", async () => {
      const { spec } = await runningEnvironment();
      await engine.containers.pause(spec.name);
      await expect(engine.containers.start(spec.name)).rejects.toMatchObject({ code: "conflict" });
      await engine.containers.kill(spec.name, "SIGKILL");
      expect(await stateOf(spec.name)).toBe("exited");
      await engine.containers.start(spec.name);
      await engine.containers.pause(spec.name);
      await engine.containers.remove(spec.name);
      expect(await stateOf(spec.name)).toBeNull();
    });

    test.each(["running", "paused", "exited"])("that is %s is killed, and can be removed at once", async (state) => {
      const { spec, network } = await runningEnvironment();
      if (state === "paused") await engine.containers.pause(spec.name);
      if (state === "exited") await kill(spec.name);
      await engine.containers.kill(spec.name, "SIGKILL");
      await engine.containers.remove(spec.name);
      await engine.networks.remove(network.name);
      expect(await engine.containers.inspect(spec.name)).toBeNull();
    });

    test("removed is gone, running or not, and removing it again is fine", async () => {
      const { spec } = await runningEnvironment();
      await Promise.all([engine.containers.remove(spec.name), engine.containers.remove(spec.name)]);
      expect(await engine.containers.inspect(spec.name)).toBeNull();
      await engine.containers.remove(spec.name);
      await engine.containers.create(spec);
      await engine.containers.remove(spec.name);
      expect(await engine.containers.inspect(spec.name)).toBeNull();
    });

    test("that somebody removed and that was made anew is ours again", async () => {
      const { spec } = await runningEnvironment();
      await subject.removeBehindOurBack(spec.name);
      await expect(engine.containers.kill(spec.name, "SIGKILL")).rejects.toMatchObject({ code: "conflict" });
      await engine.containers.create(spec);
      await engine.containers.start(spec.name);
      expect(await stateOf(spec.name)).toBe("running");
    });

    test("that is absent is a conflict for everything but its removal", async () => {
      const { spec } = await plan();
      const { containers } = engine;
      await containers.remove(spec.name);
      const calls = [
        () => containers.start(spec.name),
        () => containers.kill(spec.name, "SIGKILL"),
        () => containers.pause(spec.name),
        () => containers.unpause(spec.name),
        () => containers.exec(spec.name, ["true"], { timeoutMs: 1000 }),
        () => containers.execDetached(spec.name, ["true"]),
        () => containers.copyFromImage(spec.name, subject.tools.reference, subject.tools.folder),
        () => read(spec.name),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "conflict" });
    });
  });

  describe("somebody else's container or network", () => {
    test("is never changed: protected_target, and everything is as it was", async () => {
      const foreign = await subject.addForeign();
      const { containers, networks } = engine;
      const { network, spec, addresses } = await runningEnvironment();
      const address = addresses[5] ?? "";
      const calls = [
        () => containers.start(foreign.container),
        () => containers.remove(foreign.container),
        () => containers.kill(foreign.container, "SIGKILL"),
        () => containers.pause(foreign.container),
        () => containers.unpause(foreign.container),
        () => containers.exec(foreign.container, subject.commands.fail(0), { timeoutMs: 1000 }),
        () => containers.execDetached(foreign.container, subject.commands.fail(0)),
        () => containers.copyFromImage(foreign.container, subject.tools.reference, subject.tools.folder),
        () => networks.remove(foreign.network),
        () => networks.connect(foreign.network, spec.name, address),
        () => networks.connect(network.name, foreign.container, address),
        () => networks.disconnect(foreign.network, spec.name),
        () => networks.disconnect(network.name, foreign.container),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "protected_target" });
      const facts = await containers.inspect(foreign.container);
      expect(facts).toMatchObject({ state: "running" });
      expect(Object.keys(facts?.networks ?? {})).not.toContain(network.name);
    });

    test("that took the name of one of ours is left alone too", async () => {
      const { spec } = await runningEnvironment();
      await subject.removeBehindOurBack(spec.name);
      await subject.addForeign(spec.name);
      await expect(engine.containers.kill(spec.name, "SIGKILL")).rejects.toMatchObject({ code: "protected_target" });
      await expect(engine.containers.remove(spec.name)).rejects.toMatchObject({ code: "protected_target" });
      expect(await stateOf(spec.name)).toBe("running");
    });

    test("holds its name: conflict", async () => {
      const foreign = await subject.addForeign();
      const { network, spec } = await plan();
      await expect(engine.containers.create({ ...spec, name: foreign.container })).rejects.toMatchObject({
        code: "conflict",
      });
      await expect(engine.networks.create({ ...network, name: foreign.network })).rejects.toMatchObject({
        code: "conflict",
      });
    });
  });
}
