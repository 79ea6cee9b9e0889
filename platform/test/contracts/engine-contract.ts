import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { environmentLabels } from "../../domain/labels.ts";
import type { ContainerSpec, Engine, EngineEvent, LogLine, NetworkSpec } from "../../engine/engine.ts";
import { waitUntil } from "../support/wait-until.ts";

/** An engine, and what a test must be able to do to it from outside. */
export type EngineSubject = {
  engine: Engine;
  instance: string;
  /** An image whose container, with `idle` as its command, runs until `exit` is called. */
  image: string;
  idle: string[] | null;
  /** An image that exposes exactly these TCP ports. */
  exposing: { reference: string; ports: number[] };
  /** An image that holds `folder`. */
  tools: { reference: string; folder: string };
  /** A well-formed reference that nobody can pull. */
  missingImage: string;
  /** Commands for exec: printing a text on both streams, ending with a code, and never ending. */
  commands: { print(out: string, err: string): string[]; fail(code: number): string[]; hang: string[] };
  freeSubnet(): Promise<{ subnet: string; gateway: string; addresses: string[] }>;
  /** A running container writes lines. */
  print(container: string, stream: LogLine["stream"], text: string): Promise<void>;
  /** A running container ends with a code. */
  exit(container: string, code: number): Promise<void>;
  hasFile(container: string, path: string): Promise<boolean>;
  /** A container, running, and a network of somebody else. */
  addForeign(): Promise<{ container: string; network: string }>;
  /** Somebody else removes a container. */
  removeBehindOurBack(container: string): Promise<void>;
  /** Removes everything the test made. */
  clean(): Promise<void>;
  /** Everything that is on the machine in the test's name. */
  leftovers(): Promise<string[]>;
};

type Environment = { id: string; network: NetworkSpec; spec: ContainerSpec; addresses: string[] };

/** What every Engine must do; engine.ts says it in words. */
export function describeEngineContract(name: string, makeSubject: () => Promise<EngineSubject>): void {
  describe(name, () => {
    let subject: EngineSubject;
    let engine: Engine;
    let count = 0;
    const stopping: AbortController[] = [];

    beforeAll(async () => {
      subject = await makeSubject();
      engine = subject.engine;
    });
    afterEach(async () => {
      for (const controller of stopping.splice(0)) controller.abort();
      await subject.clean();
    });
    afterAll(async () => {
      expect(await subject.leftovers()).toEqual([]);
    });

    function abortedAfterTest(): AbortController {
      const controller = new AbortController();
      stopping.push(controller);
      return controller;
    }

    /** A plan for an environment; nothing of it exists yet. */
    async function plan(): Promise<Environment> {
      const id = `env-t-${++count}`;
      const { subnet, gateway, addresses } = await subject.freeSubnet();
      const { instance } = subject;
      const network = `${instance}-${id}`;
      return {
        id,
        addresses,
        network: {
          name: network,
          subnet,
          gateway,
          labels: environmentLabels(instance, id, "network"),
          internal: false,
        },
        spec: {
          name: `${network}-app`,
          image: subject.image,
          labels: environmentLabels(instance, id, "app", "app"),
          env: { ENV_ID: id },
          command: subject.idle,
          network,
          address: addresses[1] ?? "",
          aliases: ["app"],
          resources: { memory_mb: 64, cpus: 0.5, pids: 64 },
        },
      };
    }

    async function createdEnvironment(): Promise<Environment> {
      const environment = await plan();
      await engine.networks.create(environment.network);
      await engine.containers.create(environment.spec);
      return environment;
    }

    async function runningEnvironment(): Promise<Environment> {
      const environment = await createdEnvironment();
      await engine.containers.start(environment.spec.name);
      return environment;
    }

    const stateOf = async (container: string) => (await engine.containers.inspect(container))?.state ?? null;

    async function read(container: string, options: { since?: string; tail?: number } = {}): Promise<LogLine[]> {
      const lines: LogLine[] = [];
      const all = { ...options, follow: false, signal: abortedAfterTest().signal };
      for await (const batch of engine.containers.logs(container, all)) lines.push(...batch);
      return lines;
    }

    /** Reads until there are so many lines: what a container wrote is not there at once. */
    async function readUntil(container: string, count: number): Promise<LogLine[]> {
      let lines: LogLine[] = [];
      await waitUntil(`${count} lines`, async () => (lines = await read(container)).length === count);
      return lines;
    }

    /** Follows in the background; `done` resolves when the following ends. */
    function follow(container: string, signal: AbortSignal): { lines: string[]; done: Promise<void> } {
      const lines: string[] = [];
      const done = (async () => {
        for await (const batch of engine.containers.logs(container, { follow: true, signal })) {
          lines.push(...batch.map(({ text }) => text));
        }
      })();
      return { lines, done };
    }

    function listen(): EngineEvent[] {
      const events: EngineEvent[] = [];
      const stream = engine.events(abortedAfterTest().signal);
      void (async () => {
        for await (const event of stream) events.push(event);
      })();
      return events;
    }

    describe("the engine", () => {
      test("tells its versions", async () => {
        expect(await engine.info()).toEqual({
          version: expect.any(String),
          apiVersion: expect.stringMatching(/^\d+\.\d+$/),
        });
      });

      test("observes our containers and networks and nobody else's", async () => {
        await subject.addForeign();
        const { network, spec } = await runningEnvironment();
        const facts = await engine.observe();
        expect(facts.networks).toEqual([{ name: network.name, labels: network.labels, subnet: network.subnet }]);
        expect(facts.containers).toEqual([
          {
            name: spec.name,
            labels: expect.objectContaining(spec.labels),
            image: spec.image,
            state: "running",
            exitCode: null,
            oomKilled: false,
            networks: { [network.name]: spec.address },
          },
        ]);
      });

      test("observes containers that do not run", async () => {
        const { spec } = await runningEnvironment();
        await engine.containers.kill(spec.name, "SIGKILL");
        const { containers } = await engine.observe();
        expect(containers).toEqual([
          expect.objectContaining({
            name: spec.name,
            state: "exited",
            exitCode: null,
            networks: { [spec.network]: "" },
          }),
        ]);
      });
    });

    describe("a container", () => {
      test("is created stopped, before its network exists", async () => {
        const { network, spec } = await plan();
        await engine.containers.create(spec);
        expect(await engine.containers.inspect(spec.name)).toEqual({
          name: spec.name,
          labels: expect.objectContaining(spec.labels),
          image: spec.image,
          state: "created",
          exitCode: null,
          oomKilled: false,
          networks: { [network.name]: "" },
        });
        await engine.networks.create(network);
        await engine.containers.start(spec.name);
        expect(await engine.containers.inspect(spec.name)).toMatchObject({
          state: "running",
          networks: { [network.name]: spec.address },
        });
      });

      test("created twice from one spec is one container", async () => {
        const { spec } = await createdEnvironment();
        await engine.containers.create(spec);
        await engine.containers.start(spec.name);
        await engine.containers.create(spec);
        expect(await stateOf(spec.name)).toBe("running");
      });

      test("cannot be created under a name that a container of another spec has: conflict", async () => {
        const { spec } = await createdEnvironment();
        const other = { ...spec, env: { ...spec.env, MORE: "1" } };
        await expect(engine.containers.create(other)).rejects.toMatchObject({ code: "conflict" });
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
        await engine.containers.kill(spec.name, "SIGKILL");
        await engine.networks.remove(network.name);
        await engine.networks.create(network);
        await expect(engine.containers.start(spec.name)).rejects.toMatchObject({ code: "conflict" });
        await engine.containers.remove(spec.name);
        await engine.containers.create(spec);
        await engine.containers.start(spec.name);
        expect(await stateOf(spec.name)).toBe("running");
      });

      test("that ends by itself is exited with its code, and can be started again", async () => {
        const { spec } = await runningEnvironment();
        await subject.exit(spec.name, 7);
        await waitUntil("its end", async () => (await stateOf(spec.name)) === "exited");
        expect(await engine.containers.inspect(spec.name)).toMatchObject({
          state: "exited",
          exitCode: 7,
          oomKilled: false,
        });
        await engine.containers.start(spec.name);
        expect(await engine.containers.inspect(spec.name)).toMatchObject({ state: "running", exitCode: null });
      });

      test("killed is exited with 137, stays so, and killing it again is fine", async () => {
        const { spec } = await runningEnvironment();
        await engine.containers.kill(spec.name, "SIGKILL");
        await engine.containers.kill(spec.name, "SIGKILL");
        expect(await engine.containers.inspect(spec.name)).toMatchObject({
          state: "exited",
          exitCode: 137,
          networks: { [spec.network]: "" },
        });
      });

      test("paused is paused, twice is fine, and unpaused runs, twice is fine", async () => {
        const { spec } = await runningEnvironment();
        await engine.containers.pause(spec.name);
        await engine.containers.pause(spec.name);
        expect(await engine.containers.inspect(spec.name)).toMatchObject({
          state: "paused",
          networks: { [spec.network]: spec.address },
        });
        await engine.containers.unpause(spec.name);
        await engine.containers.unpause(spec.name);
        expect(await stateOf(spec.name)).toBe("running");
      });

      test("that does not run cannot be paused (conflict), and unpausing it is fine", async () => {
        const { spec } = await createdEnvironment();
        await expect(engine.containers.pause(spec.name)).rejects.toMatchObject({ code: "conflict" });
        await engine.containers.unpause(spec.name);
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

      test("removed is gone, running or not, and removing it again is fine", async () => {
        const { spec } = await runningEnvironment();
        await Promise.all([engine.containers.remove(spec.name), engine.containers.remove(spec.name)]);
        expect(await engine.containers.inspect(spec.name)).toBeNull();
        await engine.containers.remove(spec.name);
        await engine.containers.create(spec);
        await engine.containers.remove(spec.name);
        expect(await engine.containers.inspect(spec.name)).toBeNull();
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

    describe("a command inside", () => {
      test("is waited for and tells its exit code and what it printed on both streams", async () => {
        const { spec } = await runningEnvironment();
        const printed = await engine.containers.exec(spec.name, subject.commands.print("to out", "to err"), {
          timeoutMs: 10_000,
        });
        expect(printed.exitCode).toBe(0);
        expect(printed.output).toContain("to out");
        expect(printed.output).toContain("to err");
        expect(await engine.containers.exec(spec.name, subject.commands.fail(3), { timeoutMs: 10_000 })).toEqual({
          exitCode: 3,
          output: "",
        });
      });

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

    describe("a container's output", () => {
      test("is read with stream and timestamp, in order, and without its line ends", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", "one\ntwo\n\n");
        await subject.print(spec.name, "stderr", "thrée\n");
        const lines = await readUntil(spec.name, 4);
        const own = (stream: string) => lines.filter((line) => line.stream === stream);
        expect(own("stdout").map(({ text }) => text)).toEqual(["one", "two", ""]);
        expect(own("stderr").map(({ text }) => text)).toEqual(["thrée"]);
        const stamps = own("stdout").map(({ timestamp }) => timestamp);
        expect(stamps).toEqual([...new Set(stamps)].sort());
        expect(lines.every(({ timestamp }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(timestamp))).toBe(true);
      });

      test("is read from a line's timestamp on, that line included", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", "a\nb\nc\n");
        const lines = await readUntil(spec.name, 3);
        const since = lines[1]?.timestamp ?? "";
        expect((await read(spec.name, { since })).map(({ text }) => text)).toEqual(["b", "c"]);
        const after = `${since.slice(0, -4)}${String(Number(since.slice(-4, -1)) + 1).padStart(3, "0")}Z`;
        if (!since.endsWith("999Z"))
          expect((await read(spec.name, { since: after })).map(({ text }) => text)).toEqual(["c"]);
      });

      test("is read from its end: the last so many lines", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", "a\nb\nc\n");
        await readUntil(spec.name, 3);
        expect((await read(spec.name, { tail: 2 })).map(({ text }) => text)).toEqual(["b", "c"]);
      });

      test("is split into pieces of 64 KiB where a line is longer, all of one timestamp", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", `${"x".repeat(70_000)}\nnext\n`);
        const lines = await readUntil(spec.name, 3);
        expect(lines.map(({ text }) => text.length)).toEqual([65_536, 4_464, 4]);
        expect(lines[0]?.timestamp).toBe(lines[1]?.timestamp);
      });

      test("is there after the container ended", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", "last words\n");
        await readUntil(spec.name, 1);
        await subject.exit(spec.name, 1);
        await waitUntil("its end", async () => (await stateOf(spec.name)) === "exited");
        expect((await read(spec.name)).map(({ text }) => text)).toEqual(["last words"]);
      });

      test("is followed as it comes until the container ends, and from the next run on by a new call", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", "before\n");
        const first = follow(spec.name, abortedAfterTest().signal);
        await waitUntil("what was there", () => first.lines.length === 1);
        await subject.print(spec.name, "stdout", "after\n");
        await waitUntil("what came", () => first.lines.length === 2);
        await subject.exit(spec.name, 0);
        await first.done;
        expect(first.lines).toEqual(["before", "after"]);

        await engine.containers.start(spec.name);
        const second = follow(spec.name, abortedAfterTest().signal);
        await subject.print(spec.name, "stdout", "second run\n");
        await waitUntil("the next run's line", () => second.lines.at(-1) === "second run");
        expect(second.lines).toEqual(["before", "after", "second run"]);
        await engine.containers.remove(spec.name);
        await second.done;
      });

      test("is followed through a pause", async () => {
        const { spec } = await runningEnvironment();
        const following = follow(spec.name, abortedAfterTest().signal);
        await engine.containers.pause(spec.name);
        await engine.containers.unpause(spec.name);
        await subject.print(spec.name, "stdout", "thawed\n");
        await waitUntil("the line", () => following.lines.includes("thawed"));
      });

      test("stops coming, without an error, when the signal aborts", async () => {
        const { spec } = await runningEnvironment();
        const stop = abortedAfterTest();
        const following = follow(spec.name, stop.signal);
        await subject.print(spec.name, "stdout", "x\n");
        await waitUntil("a line", () => following.lines.length === 1);
        stop.abort();
        await following.done;
        await follow(spec.name, stop.signal).done;
      });

      test("ends at once when followed while nothing runs", async () => {
        const { spec } = await createdEnvironment();
        const following = follow(spec.name, abortedAfterTest().signal);
        await following.done;
        expect(following.lines).toEqual([]);
      });

      test("comes in batches of at most 256 lines, and may be left at any line", async () => {
        const { spec } = await runningEnvironment();
        await subject.print(spec.name, "stdout", "x\n".repeat(600));
        await readUntil(spec.name, 600);
        for await (const batch of engine.containers.logs(spec.name, {
          follow: true,
          signal: abortedAfterTest().signal,
        })) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(256);
          break;
        }
      });
    });

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

      test("takes a container off and back at its address, each twice is fine", async () => {
        const { network, spec } = await runningEnvironment();
        await engine.networks.disconnect(network.name, spec.name);
        await engine.networks.disconnect(network.name, spec.name);
        expect(await engine.containers.inspect(spec.name)).toMatchObject({ state: "running", networks: {} });
        await engine.networks.connect(network.name, spec.name, spec.address, ["app"]);
        await engine.networks.connect(network.name, spec.name, spec.address, ["app"]);
        expect(await engine.containers.inspect(spec.name)).toMatchObject({
          networks: { [network.name]: spec.address },
        });
      });

      test("moves a container that is attached at another address", async () => {
        const { network, spec, addresses } = await runningEnvironment();
        const address = addresses[6] ?? "";
        await engine.networks.connect(network.name, spec.name, address);
        expect(await engine.containers.inspect(spec.name)).toMatchObject({ networks: { [network.name]: address } });
      });

      test("takes a container that does not run, which starts on it", async () => {
        const { network, spec } = await runningEnvironment();
        await engine.containers.kill(spec.name, "SIGKILL");
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

      test("that is no reference is an invalid request for the field `image`", async () => {
        const ensuring = engine.images.ensure("Not an image!");
        await expect(ensuring).rejects.toMatchObject({ code: "invalid_request", errors: [{ path: "image" }] });
      });
    });

    describe("events", () => {
      test("tell what happens to our containers, in order, and nothing of others", async () => {
        const events = listen();
        const { network, spec, id } = await runningEnvironment();
        await subject.addForeign();
        await engine.containers.pause(spec.name);
        await engine.containers.unpause(spec.name);
        await engine.networks.disconnect(network.name, spec.name);
        await engine.networks.connect(network.name, spec.name, spec.address);
        await engine.containers.kill(spec.name, "SIGKILL");
        await engine.containers.remove(spec.name);
        await waitUntil("the last event", () => events.at(-1)?.action === "destroy");

        // Docker tells a forced disconnect twice.
        const seen = events
          .map(({ action }) => action)
          .filter((action, i, all) => action !== "disconnect" || all[i - 1] !== action);
        const expected = [
          "connect",
          "start",
          "pause",
          "unpause",
          "disconnect",
          "connect",
          "kill",
          "die",
          "disconnect",
          "destroy",
        ];
        expect(seen).toEqual(expected);
        expect(events.every(({ container, env }) => container === spec.name && env === id)).toBe(true);
        const named = events.filter((event) => event.network !== null);
        expect(new Set(named.map(({ action }) => action))).toEqual(new Set(["connect", "disconnect"]));
        expect(named.every((event) => event.network === network.name)).toBe(true);
        expect(events.every(({ time }) => Math.abs(time - Date.now()) < 60_000)).toBe(true);
      });

      test("tell of containers that were there before, with whom they were connected", async () => {
        const { network, spec, id } = await runningEnvironment();
        const events = listen();
        await engine.networks.disconnect(network.name, spec.name);
        await subject.exit(spec.name, 1);
        await waitUntil("its end", () => events.some(({ action }) => action === "die"));
        expect(events[0]).toMatchObject({ action: "disconnect", container: spec.name, env: id, network: network.name });
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
        const stream = engine.events(abortedAfterTest().signal);
        await engine.containers.pause(spec.name);
        for await (const event of stream) {
          if (event.action === "pause") break;
        }
      });

      test("end without an error when the signal aborts", async () => {
        const stop = new AbortController();
        const stream = engine.events(stop.signal)[Symbol.asyncIterator]();
        const next = stream.next();
        stop.abort();
        expect(await next).toMatchObject({ done: true });
      });
    });
  });
}
