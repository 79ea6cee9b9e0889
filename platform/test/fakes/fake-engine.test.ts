import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { describeEngineContract, type EngineSubject } from "../contracts/engine-contract.ts";
import { waitUntil } from "../support/wait-until.ts";
import { createFakeEngine, type FakeEngine } from "./fake-engine.ts";

const INSTANCE = "sandbox-fake";
const IMAGE = "app:latest";

function makeEngine(): FakeEngine {
  const engine = createFakeEngine({ instance: INSTANCE });
  engine.addImage(IMAGE, [8080, 80]);
  engine.addImage("tools:latest");
  engine.onExec(async ([command = "", ...args], _container, signal) => {
    if (command === "print") return { exitCode: 0, output: args.join("\n") };
    if (command === "hang") await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return { exitCode: Number(args[0] ?? 0), output: "" };
  });
  return engine;
}

describeEngineContract("the fake", (): EngineSubject => {
  const engine = makeEngine();
  let subnets = 0;
  let foreign: string[] = [];
  async function clean(): Promise<void> {
    const { containers, networks } = await engine.observe();
    for (const name of [...foreign, ...containers.map((facts) => facts.name), ...networks.map((facts) => facts.name)]) {
      engine.removeBehindOurBack(name);
    }
    foreign = [];
  }
  return {
    engine,
    instance: INSTANCE,
    image: IMAGE,
    idle: null,
    exposing: { reference: IMAGE, ports: [80, 8080] },
    tools: { reference: "tools:latest", folder: "/sandbox-tools" },
    missingImage: "missing:latest",
    nameImage: async (reference) => engine.addImage(reference),
    commands: { print: (out, err) => ["print", out, err], fail: (code) => ["fail", String(code)], hang: ["hang"] },
    async freeSubnet() {
      const base = `10.1.${subnets++}`;
      return {
        subnet: `${base}.0/28`,
        gateway: `${base}.1`,
        addresses: Array.from({ length: 12 }, (_, i) => `${base}.${i + 2}`),
      };
    },
    print: async (container, stream, text) => engine.writeLog(container, stream, text),
    exit: async (container, code) => engine.exit(container, code),
    hasFile: async (container, path) =>
      engine.calls.some(
        ({ method, args }) => method === "containers.copyFromImage" && args[0] === container && args[2] === path,
      ),
    async addForeign(container = "foreign") {
      engine.addForeignContainer(container);
      engine.addForeignNetwork("foreign-network", "10.2.0.0/28");
      foreign = [container, "foreign-network"];
      return { container, network: "foreign-network" };
    },
    removeBehindOurBack: async (container) => engine.removeBehindOurBack(container),
    clean,
    leftovers: async () =>
      Object.values(await engine.observe())
        .flat()
        .map(({ name }) => name),
  };
});

describe("a test with the fake engine", () => {
  const network = {
    name: "n",
    subnet: "10.1.0.0/28",
    gateway: "10.1.0.1",
    labels: { "sandbox.platform": INSTANCE },
    internal: false,
  };
  const spec = {
    name: "c",
    image: IMAGE,
    labels: { "sandbox.platform": INSTANCE },
    env: {},
    command: null,
    network: "n",
    address: "10.1.0.3",
    aliases: [],
    resources: { memory_mb: 64, cpus: 1, pids: 64 },
  };

  async function start(engine: FakeEngine, image = IMAGE): Promise<void> {
    await engine.networks.create(network);
    await engine.containers.create({ ...spec, image });
    await engine.containers.start("c");
  }

  function followLogs(engine: FakeEngine): AsyncIterator<unknown> {
    const logs = engine.containers.logs("c", { follow: true, signal: new AbortController().signal });
    return logs[Symbol.asyncIterator]();
  }

  test("lets a call fail once, or as often as it says", async () => {
    const engine = makeEngine();
    engine.failNext("networks.create", new PlatformError("address_pool_exhausted", "none left"), 2);
    await expect(engine.networks.create(network)).rejects.toMatchObject({ code: "address_pool_exhausted" });
    await expect(engine.networks.create(network)).rejects.toMatchObject({ code: "address_pool_exhausted" });
    await engine.networks.create(network);
  });

  test("lets following logs fail", async () => {
    const engine = makeEngine();
    await start(engine);
    engine.failNext("containers.logs", new PlatformError("engine_unavailable", "gone"));
    const lines = followLogs(engine);
    await expect(lines.next()).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  test("sees every call in order", async () => {
    const engine = makeEngine();
    await start(engine);
    expect(engine.calls.map(({ method }) => method)).toEqual([
      "networks.create",
      "containers.create",
      "containers.start",
    ]);
    expect(engine.calls[2]?.args).toEqual(["c"]);
  });

  test("takes the engine away, which ends what follows logs, and brings it back", async () => {
    const engine = makeEngine();
    await start(engine);
    const lines = followLogs(engine);
    const next = lines.next();
    engine.setAvailable(false);
    await expect(next).rejects.toMatchObject({ code: "engine_unavailable" });
    await expect(engine.info()).rejects.toMatchObject({ code: "engine_unavailable" });
    engine.setAvailable(true);
    await engine.info();
  });

  test("has images whose containers print and exit", async () => {
    const engine = makeEngine();
    engine.addImage("crashing:latest", [], { prints: ["about to fail"], exitCode: 2 });
    await start(engine, "crashing:latest");
    await waitUntil("its end", async () => (await engine.containers.inspect("c"))?.exitCode === 2);
    const texts: string[] = [];
    for await (const batch of engine.containers.logs("c", { follow: true, signal: new AbortController().signal }))
      texts.push(...batch.map(({ text }) => text));
    expect(texts).toEqual(["about to fail"]);
  });

  test("has images that cannot be run", async () => {
    const engine = makeEngine();
    engine.addImage("broken:latest", [], { runnable: false });
    await expect(start(engine, "broken:latest")).rejects.toMatchObject({ code: "image_not_runnable" });
  });

  test("lets a container run out of memory", async () => {
    const engine = makeEngine();
    await start(engine);
    const events = engine.events(new AbortController().signal)[Symbol.asyncIterator]();
    engine.exit("c", 137, { oomKilled: true });
    expect([(await events.next()).value?.action, (await events.next()).value?.action]).toEqual(["oom", "die"]);
    expect(await engine.containers.inspect("c")).toMatchObject({ exitCode: 137, oomKilled: true });
  });

  test("removes a network behind our back", async () => {
    const engine = makeEngine();
    await start(engine);
    engine.removeBehindOurBack("n");
    expect((await engine.containers.inspect("c"))?.networks).toEqual({});
  });
});
