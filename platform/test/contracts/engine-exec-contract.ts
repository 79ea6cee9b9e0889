import { describe, expect, test } from "vitest";
import type { EngineHarness } from "./engine-harness.ts";

/** Commands and files inside containers. */
export function describeCommands(harness: EngineHarness): void {
  const { subject, engine, createdEnvironment, runningEnvironment, stateOf } = harness;

  describe("a command inside", () => {
    test("that does not end in time is left alone: engine_failed", async () => {
      const { spec } = await runningEnvironment();
      const waiting = engine.containers.exec(spec.name, subject.commands.hang, { timeoutMs: 300 });
      await expect(waiting).rejects.toMatchObject({ code: "engine_failed" });
      expect(await stateOf(spec.name)).toBe("running");
    });

    test("is no longer waited for when the caller's signal aborts", async () => {
      const { spec } = await runningEnvironment();
      const caller = new AbortController();
      const waiting = engine.containers.exec(spec.name, subject.commands.hang, {
        timeoutMs: 60_000,
        signal: caller.signal,
      });
      setTimeout(() => caller.abort(new Error("gave up")), 100);
      await expect(waiting).rejects.toThrow("gave up");
    });

    test("cannot be run where nothing runs: conflict", async () => {
      const { spec } = await createdEnvironment();
      const { containers } = engine;
      await expect(containers.exec(spec.name, subject.commands.fail(0), { timeoutMs: 1000 })).rejects.toMatchObject({
        code: "conflict",
      });
      await expect(containers.execDetached(spec.name, subject.commands.fail(0))).rejects.toMatchObject({
        code: "conflict",
      });
      await containers.start(spec.name);
      await containers.pause(spec.name);
      await expect(containers.exec(spec.name, subject.commands.fail(0), { timeoutMs: 1000 })).rejects.toMatchObject({
        code: "conflict",
      });
    });

    test("started detached does not hold anyone up", async () => {
      const { spec } = await runningEnvironment();
      await engine.containers.execDetached(spec.name, subject.commands.hang);
      expect(await stateOf(spec.name)).toBe("running");
    });
  });

  describe("copying out of an image", () => {
    test("puts the folder into a container, running or not, and leaves no helper behind", async () => {
      const { spec } = await createdEnvironment();
      const { reference, folder } = subject.tools;
      await engine.containers.copyFromImage(spec.name, reference, folder);
      expect(await subject.hasFile(spec.name, folder)).toBe(true);
      await engine.containers.start(spec.name);
      await engine.containers.copyFromImage(spec.name, reference, folder);
      expect((await engine.observe()).containers.map(({ name }) => name)).toEqual([spec.name]);
    });

    test("of an image that is not there fails: image_not_found", async () => {
      const { spec } = await createdEnvironment();
      const copying = engine.containers.copyFromImage(spec.name, subject.missingImage, subject.tools.folder);
      await expect(copying).rejects.toMatchObject({ code: "image_not_found" });
      expect((await engine.observe()).containers.map(({ name }) => name)).toEqual([spec.name]);
    });
  });
}
