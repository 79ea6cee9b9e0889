import { describe, expect, test } from "vitest";
import { PlatformError } from "../../kernel/errors.ts";
import { describeEngineContract } from "../contracts/engine-contract.ts";
import { waitUntil } from "../support/wait-until.ts";
import { createContractEngine, createFakeEngineSubject, FAKE_IMAGE, FAKE_INSTANCE } from "./fake-engine-subject.ts";
import type { FakeEngine } from "./fake-engine.ts";

describeEngineContract("the fake", createFakeEngineSubject);

describe("a test with the fake engine", () => {
  const network = {
    name: "n",
    subnet: "10.1.0.0/28",
    gateway: "10.1.0.1",
    labels: { "sandbox.platform": FAKE_INSTANCE },
    internal: false,
  };
  const spec = {
    name: "c",
    image: FAKE_IMAGE,
    labels: { "sandbox.platform": FAKE_INSTANCE },
    env: {},
    command: null,
    network: "n",
    address: "10.1.0.3",
    aliases: [],
    resources: { memory_mb: 64, cpus: 1, pids: 64 },
  };

  async function start(engine: FakeEngine, image = FAKE_IMAGE): Promise<void> {
    await engine.networks.create(network);
    await engine.containers.create({ ...spec, image });
    await engine.containers.start("c");
  }

  function followLogs(engine: FakeEngine): AsyncIterator<unknown> {
    const logs = engine.containers.logs("c", { follow: true, signal: new AbortController().signal });
    return logs[Symbol.asyncIterator]();
  }

  test("lets a call fail once, or as often as it says", async () => {
    const engine = createContractEngine();
    engine.failNext("networks.create", new PlatformError("address_pool_exhausted", "none left"), 2);
    await expect(engine.networks.create(network)).rejects.toMatchObject({ code: "address_pool_exhausted" });
    await expect(engine.networks.create(network)).rejects.toMatchObject({ code: "address_pool_exhausted" });
    await engine.networks.create(network);
  });

  test("lets following logs fail", async () => {
    const engine = createContractEngine();
    await start(engine);
    engine.failNext("containers.logs", new PlatformError("engine_unavailable", "gone"));
    const lines = followLogs(engine);
    await expect(lines.next()).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  test("sees every call in order", async () => {
    const engine = createContractEngine();
    await start(engine);
    expect(engine.calls.map(({ method }) => method)).toEqual([
      "networks.create",
      "containers.create",
      "containers.start",
    ]);
    expect(engine.calls[2]?.args).toEqual(["c"]);
  });

  test("takes the engine away, which ends what follows logs, and brings it back", async () => {
    const engine = createContractEngine();
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
    const engine = createContractEngine();
    engine.addImage("crashing:latest", [], { prints: ["about to fail"], exitCode: 2 });
    await start(engine, "crashing:latest");
    await waitUntil("its end", async () => (await engine.containers.inspect("c"))?.exitCode === 2);
    const texts: string[] = [];
    for await (const batch of engine.containers.logs("c", { follow: true, signal: new AbortController().signal }))
      texts.push(...batch.map(({ text }) => text));
    expect(texts).toEqual(["about to fail"]);
  });

  test("has images that cannot be run", async () => {
    const engine = createContractEngine();
    engine.addImage("broken:latest", [], { runnable: false });
    await expect(start(engine, "broken:latest")).rejects.toMatchObject({ code: "image_not_runnable" });
  });

  test("lets a container run out of memory", async () => {
    const engine = createContractEngine();
    await start(engine);
    const events = engine.events(new AbortController().signal)[Symbol.asyncIterator]();
    engine.exit("c", 137, { oomKilled: true });
    expect([(await events.next()).value?.action, (await events.next()).value?.action]).toEqual(["oom", "die"]);
    expect(await engine.containers.inspect("c")).toMatchObject({ exitCode: 137, oomKilled: true });
  });

  test("removes a network behind our back", async () => {
    const engine = createContractEngine();
    await start(engine);
    engine.removeBehindOurBack("n");
    expect((await engine.containers.inspect("c"))?.networks).toEqual({});
  });
});
