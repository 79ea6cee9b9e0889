import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDockerEngine } from "../../workloads/docker/docker-engine.ts";
import type { LogLine } from "../../workloads/workloads.ts";
import type { Engine, EngineEvent } from "../../workloads/docker/engine.ts";
import { docker, removeTestObjects, runContainer, testInstanceName, testObjects } from "../support/docker.ts";
import { createEngineProxy, type EngineProxy } from "../support/engine-proxy.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("the connection to a Docker engine", () => {
  const instance = testInstanceName();
  let folder: string;
  let proxy: EngineProxy;
  let engine: Engine;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sandbox-proxy-"));
    proxy = createEngineProxy(join(folder, "docker.sock"));
    engine = createDockerEngine({ socketPath: join(folder, "docker.sock"), instance, timeoutMs: 30_000 });
  });
  afterAll(async () => {
    await proxy.close();
    await rm(folder, { recursive: true, force: true });
    await removeTestObjects(instance);
    const left = await testObjects(instance);
    if (left.length > 0) throw new Error(`These tests left ${left.join(", ")}`);
  });

  /** A container that runs this, reached through a door that is open. */
  async function run(...command: string[]): Promise<string> {
    await proxy.open();
    return (await runContainer(engine, instance, command)).name;
  }

  function follow(container: string, since?: string): AsyncIterable<LogLine[]> {
    const { signal } = new AbortController();
    return engine.containers.logs(container, { follow: true, signal, ...(since === undefined ? {} : { since }) });
  }

  test("may be missing at first, which makes calls fail with engine_unavailable, and work once it is there", async () => {
    const failure = { code: "engine_unavailable", message: expect.stringContaining("start the engine") };
    await expect(engine.info()).rejects.toMatchObject(failure);
    await expect(engine.observe()).rejects.toMatchObject(failure);
    await proxy.open();
    expect((await engine.info()).apiVersion).toMatch(/^1\.4\d$/);
    expect(await engine.observe()).toEqual({ containers: [], networks: [] });
  });

  test("loses no event, and tells none twice, when it is cut again and again", async () => {
    const container = await run("/bin/sleep", "600");
    const stop = new AbortController();
    const stream = engine.events(stop.signal);
    const events: EngineEvent[] = [];
    async function listen(): Promise<void> {
      for await (const event of stream) events.push(event);
    }
    const listening = listen();
    const own = () => events.filter((event) => event.container === container).map(({ action }) => action);
    // A signal that changes nothing: what it does is told once, where the engine itself may repeat a pause.
    const signal = () => docker("kill", "--signal", "WINCH", container);
    try {
      for (let round = 1; round <= 4; round++) {
        await signal();
        await proxy.close();
        await signal();
        await proxy.open();
        await waitUntil("the events to go on", () => own().length >= 2 * round, 20_000);
      }
    } finally {
      stop.abort();
      await listening;
    }
    expect(own()).toEqual(Array.from({ length: 8 }, () => "kill"));
  });

  test("that breaks ends what follows logs with engine_unavailable, and following goes on from the last line", async () => {
    const container = await run("/bin/sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; sleep 0.01; done");
    const lines: LogLine[] = [];
    async function readUntil(count: number): Promise<void> {
      const last = lines.at(-1);
      for await (const batch of follow(container, last?.timestamp)) {
        lines.push(...batch.filter(({ timestamp }) => timestamp !== last?.timestamp));
        if (lines.length >= count) return;
      }
    }
    const [broken] = await Promise.allSettled([
      readUntil(Infinity),
      waitUntil("some lines", () => lines.length > 50).then(() => proxy.close()),
    ]);
    expect(broken).toMatchObject({ status: "rejected", reason: { code: "engine_unavailable" } });
    await proxy.open();
    await readUntil(lines.length + 100);
    expect(lines.map(({ text }) => Number(text))).toEqual(Array.from(lines, (_, i) => i + 1));
  });

  test("gives each line once across rotations of the container's log", async () => {
    // 62 MB of log file: one rotation at 50 MB. It runs on: where a run ends soon after one, the engine may end there too.
    const total = 130_000;
    const write = `let s = ""; for (let i = 0; i < 500; i++) s += n++ + " ${"x".repeat(400)}\\n"; process.stdout.write(s);`;
    const script = `let n = 0; setInterval(() => { if (n < ${total}) { ${write} } }, 20)`;
    const container = await run("node", "-e", script);
    const wrong: string[] = [];
    let next = 0;
    const reading = (async () => {
      for await (const batch of follow(container)) {
        for (const { text } of batch) {
          const number = Number.parseInt(text, 10);
          if (number !== next) wrong.push(`${number} instead of ${next}`);
          next = number + 1;
        }
        if (next >= total) return;
      }
    })();
    const lastLine = waitUntil("the last line", () => next >= total, 60_000);
    await Promise.race([reading, lastLine]).catch(() => {}); // the assertion says more
    expect({ wrong, next }).toEqual({ wrong: [], next: total });
  });

  test("with a million empty lines costs bounded memory, and following them ends", async () => {
    const container = await run("/bin/sh", "-c", "yes '' | head -n 1000000");
    const before = process.memoryUsage().rss;
    let lines = 0;
    let peak = 0;
    for await (const batch of follow(container)) {
      lines += batch.length;
      if (lines % 5_000 < 256) peak = Math.max(peak, process.memoryUsage().rss);
    }
    // More than the engine's own log keeps is lost there when it is written faster than it can be read.
    expect(lines).toBeGreaterThan(100_000);
    expect(peak - before).toBeLessThan(150 * 1024 * 1024);
  });

  test("is slowed by a slow reader instead of filling our memory, and closed when the reader leaves", async () => {
    const container = await run(
      "/bin/sh",
      "-c",
      "yes 0123456789012345678901234567890123456789 | head -n 300000; sleep 600",
    );
    await waitUntil("10 MB to be written", async () => (await docker("logs", "--tail", "1", container)) !== "");
    const idle = proxy.connections();
    const before = proxy.bytesFromEngine();
    const reader = follow(container)[Symbol.asyncIterator]();
    await reader.next();
    let seen = -1;
    await waitUntil("the engine to be held up", () => {
      const last = seen;
      seen = proxy.bytesFromEngine();
      return seen === last;
    });
    // 25 MB are there; what came is what the buffers on the way hold.
    expect(seen - before).toBeLessThan(4 * 1024 * 1024);
    await reader.return?.();
    await waitUntil("the connection to close", () => proxy.connections() <= idle);
  });
});
