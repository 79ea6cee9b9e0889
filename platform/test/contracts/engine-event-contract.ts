import { describe, expect, test } from "vitest";
import { waitUntil } from "../support/wait-until.ts";
import type { EngineHarness } from "./engine-harness.ts";

/** Versions, what is observed, images and events. */
export function describeEvents(harness: EngineHarness): void {
  const { subject, engine, runningEnvironment, kill, listen, abortedAfterTest } = harness;

  describe("the engine", () => {
    test("tells its versions", async () => {
      expect(await engine.info()).toEqual({
        version: expect.any(String),
        apiVersion: expect.stringMatching(/^\d+\.\d+$/),
      });
    });

    test("observes our containers and networks, and no others", async () => {
      await subject.addForeign();
      const { network, spec } = await runningEnvironment();
      const facts = await engine.observe();
      expect(facts.networks).toEqual([{ name: network.name, labels: network.labels, subnet: network.subnet }]);
      expect(facts.containers).toEqual([
        {
          id: expect.stringMatching(/^[0-9a-f]{64}$/),
          name: spec.name,
          labels: expect.objectContaining(spec.labels),
          state: "running",
          exitCode: null,
          oomKilled: false,
          networks: { [network.name]: spec.address },
          homeNetwork: network.name,
        },
      ]);
    });

    test("observes containers that do not run", async () => {
      const { spec } = await runningEnvironment();
      await kill(spec.name);
      const { containers } = await engine.observe();
      expect(containers).toEqual([
        expect.objectContaining({
          name: spec.name,
          state: "exited",
          exitCode: null,
          networks: { [spec.network]: spec.address },
        }),
      ]);
    });
  });

  describe("an image", () => {
    test("that is there is ensured at once and tells its TCP ports", async () => {
      const { reference, ports } = subject.exposing;
      expect(await engine.images.ensure(reference)).toEqual({ id: expect.stringMatching(/^sha256:/), ports });
    });

    test("that cannot be had fails with image_not_found and says what to do", async () => {
      const ensuring = engine.images.ensure(subject.missingImage);
      await expect(ensuring).rejects.toMatchObject({
        code: "image_not_found",
        message: expect.stringContaining(`docker build -t ${subject.missingImage}`),
      });
    });

    test("that is there needs no registry that may be asked, which one that is missing does", async () => {
      const here = `localhost:1/${subject.instance}:there`;
      await subject.nameImage(here);
      expect(await engine.images.ensure(here)).toMatchObject({ id: expect.stringMatching(/^sha256:/) });
      for (const missing of [`localhost:1/${subject.instance}:missing`, "169.254.169.254/latest", "ghcr.io/team/app"])
        await expect(engine.images.ensure(missing)).rejects.toMatchObject({
          code: "image_not_found",
          message: expect.stringMatching(/^Cannot pull image .* add it there, or pull the image on this machine/),
        });
    });

    test("that is no reference is an invalid request for the field `image`", async () => {
      const ensuring = engine.images.ensure("Not an image!");
      await expect(ensuring).rejects.toMatchObject({ code: "invalid_request", errors: [{ path: "image" }] });
    });
  });

  describe("events", () => {
    test("tell what happens to our containers, in order, and nothing of others", async () => {
      const began = Date.now();
      const events = listen();
      const { network, spec, id } = await runningEnvironment();
      await subject.addForeign();
      await engine.containers.pause(spec.name);
      await engine.containers.unpause(spec.name);
      await engine.networks.disconnect(network.name, spec.name);
      await engine.networks.connect(network.name, spec.name, spec.address);
      await engine.containers.kill(spec.name, "SIGKILL");
      await engine.containers.remove(spec.name);
      await waitUntil("the last event", () => events.some(({ action }) => action === "destroy"));

      const expected = ["connect", "start", "pause", "unpause", "disconnect", "connect"];
      expected.push("kill", "die", "disconnect", "destroy");
      const { found, others } = sequenceIn(
        events.map(({ action }) => action),
        expected,
      );
      expect({ found, others }).toEqual({ found: expected, others: others.filter((action) => REPEATED.has(action)) });
      expect(events.every(({ container, env }) => container === spec.name && env === id)).toBe(true);
      const named = events.filter((event) => event.network !== null);
      expect(new Set(named.map(({ action }) => action))).toEqual(new Set(["connect", "disconnect"]));
      expect(named.every((event) => event.network === network.name)).toBe(true);
      expect(events.every(({ time }) => time >= began && time <= Date.now())).toBe(true);
    });

    test("tell of containers that were there before, and of their networks", async () => {
      const { network, spec, id } = await runningEnvironment();
      const events = listen();
      await engine.networks.disconnect(network.name, spec.name);
      await subject.exit(spec.name, 1);
      await waitUntil("its end", () => events.some(({ action }) => action === "die"));
      const disconnect = events.find(({ action }) => action === "disconnect");
      expect(disconnect).toMatchObject({ container: spec.name, env: id, network: network.name });
    });

    test("tell what others do to our containers", async () => {
      const { spec } = await runningEnvironment();
      const events = listen();
      await subject.removeBehindOurBack(spec.name);
      await waitUntil("the removal", () =>
        events.some(({ action, container }) => action === "destroy" && container === spec.name),
      );
    });

    test("begin when they are asked for, not when they are first read", async () => {
      const { spec } = await runningEnvironment();
      const asked = Date.now();
      const stream = engine.events(abortedAfterTest().signal);
      await engine.containers.pause(spec.name);
      for await (const { action, time } of stream) {
        expect(time).toBeGreaterThanOrEqual(asked);
        if (action === "pause") return;
      }
      expect.unreachable("the events ended before the pause");
    });
  });
}

/** What Docker repeats: `disconnect` where it is forced; `pause` and `unpause` on a busy machine, among later events. */
const REPEATED: ReadonlySet<string> = new Set(["disconnect", "pause", "unpause"]);

/** As much of `expected` as is found in this order, and what else there is. */
function sequenceIn(actions: string[], expected: string[]): { found: string[]; others: string[] } {
  const found: string[] = [];
  const others: string[] = [];
  for (const action of actions) (action === expected[found.length] ? found : others).push(action);
  return { found, others };
}
