import { connect, createServer, type Server, type Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environmentLabels } from "../../domain/labels.ts";
import { createDockerEngine } from "../../engine/docker-engine.ts";
import type { ContainerSpec, Engine, EngineEvent } from "../../engine/engine.ts";
import {
  docker,
  DOCKER_SOCKET,
  freeSubnet,
  nodeImage,
  removeTestObjects,
  TEST_LABEL,
  testInstanceName,
  testObjects,
} from "../support/docker.ts";
import { waitUntil } from "../support/wait-until.ts";
import { describeEngineContract } from "./engine-contract.ts";

const TIMEOUT_MS = 30_000;

/** Ends as soon as a file says with which code; everything else comes through exec. */
const IDLE = ["/bin/sh", "-c", "rm -f /tmp/exit; while [ ! -s /tmp/exit ]; do sleep 0.05; done; exit $(cat /tmp/exit)"];

describeEngineContract("the Docker engine", async () => {
  const instance = testInstanceName();
  let foreign = 0;
  return {
    engine: createDockerEngine({ socketPath: DOCKER_SOCKET, instance, timeoutMs: TIMEOUT_MS }),
    instance,
    image: nodeImage(),
    idle: IDLE,
    exposing: { reference: process.env["DEFAULT_IMAGE"] || "sandbox-demo-app:latest", ports: [3000] },
    tools: { reference: process.env["STRESS_IMAGE"] || "sandbox-stress-ng:latest", folder: "/sandbox-tools" },
    missingImage: "sandbox-test/there-is-none:1",
    commands: {
      print: (out, err) => ["/bin/sh", "-c", 'echo "$0"; echo "$1" >&2', out, err],
      fail: (code) => ["/bin/sh", "-c", `exit ${code}`],
      hang: ["/bin/sleep", "600"],
    },
    freeSubnet,
    async print(container, stream, text) {
      // What the main process's own streams lead to, not a file that a shell could hand over.
      const script = `process.stdin.pipe(require("fs").createWriteStream("/proc/1/fd/${stream === "stdout" ? 1 : 2}"))`;
      await pipeInto(["exec", "-i", container, "node", "-e", script], text);
    },
    exit: (container, code) => docker("exec", container, "/bin/sh", "-c", `echo ${code} > /tmp/exit`).then(() => {}),
    async hasFile(container, path) {
      return (await docker("cp", "-q", `${container}:${path}`, "-").catch(() => "")).length > 0;
    },
    async addForeign() {
      const name = `${instance}-foreign-${++foreign}`;
      const label = ["--label", `${TEST_LABEL}=${instance}`];
      const { subnet } = await freeSubnet();
      await docker("network", "create", ...label, "--subnet", subnet, name);
      await docker("run", "-d", "--name", name, ...label, "--network", "none", nodeImage(), "/bin/sleep", "600");
      return { container: name, network: name };
    },
    removeBehindOurBack: (container) => docker("rm", "-f", container).then(() => {}),
    clean: () => removeTestObjects(instance),
    leftovers: () => testObjects(instance),
  };
});

async function pipeInto(args: string[], text: string): Promise<void> {
  const { execFile } = await import("node:child_process");
  await new Promise<void>((resolve, reject) => {
    const child = execFile("docker", args, (error) => (error === null ? resolve() : reject(error)));
    child.stdin?.end(text);
  });
}

describe("a Docker engine", () => {
  const instance = testInstanceName();
  let folder: string;
  let proxy: SocketProxy;
  let engine: Engine;
  let count = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sandbox-proxy-"));
    proxy = createSocketProxy(join(folder, "docker.sock"));
    engine = createDockerEngine({ socketPath: join(folder, "docker.sock"), instance, timeoutMs: TIMEOUT_MS });
  });
  afterAll(async () => {
    await proxy.close();
    await rm(folder, { recursive: true, force: true });
    await removeTestObjects(instance);
    expect(await testObjects(instance)).toEqual([]);
  });

  /** A running container in a network of its own. */
  async function run(
    command: string[],
    image = nodeImage(),
    resources = { memory_mb: 128, cpus: 1, pids: 64 },
  ): Promise<ContainerSpec> {
    const id = `env-d-${++count}`;
    const network = `${instance}-${id}`;
    const { subnet, gateway, addresses } = await freeSubnet();
    const labels = environmentLabels(instance, id, "app", "app");
    const spec = {
      name: `${network}-app`,
      image,
      labels,
      env: {},
      command,
      network,
      address: addresses[1] ?? "",
      aliases: ["app"],
      resources,
    };
    await engine.networks.create({
      name: network,
      subnet,
      gateway,
      labels: environmentLabels(instance, id, "network"),
      internal: false,
    });
    await engine.containers.create(spec);
    await engine.containers.start(spec.name);
    return spec;
  }

  test("that is not there is unavailable, and works once it is", async () => {
    await expect(engine.info()).rejects.toMatchObject({
      code: "engine_unavailable",
      message: expect.stringContaining("start the engine"),
    });
    await expect(engine.observe()).rejects.toMatchObject({ code: "engine_unavailable" });
    await proxy.open();
    expect((await engine.info()).apiVersion).toMatch(/^1\.4\d$/);
    expect(await engine.observe()).toEqual({ containers: [], networks: [] });
  });

  test("loses no event, and tells none twice, while the connection to it is cut again and again", async () => {
    await proxy.open();
    const spec = await run(["/bin/sleep", "600"]);
    const stop = new AbortController();
    const events: EngineEvent[] = [];
    const stream = engine.events(stop.signal);
    const listening = (async () => {
      for await (const event of stream) events.push(event);
    })();
    try {
      for (let round = 1; round <= 4; round++) {
        await docker("pause", spec.name);
        await proxy.close();
        await docker("unpause", spec.name);
        await proxy.open();
        await waitUntil(
          "the events to go on",
          () => events.filter(({ action }) => action === "unpause").length === round,
          20_000,
        );
      }
      expect(events.map(({ action }) => action)).toEqual(Array.from({ length: 4 }, () => ["pause", "unpause"]).flat());
    } finally {
      stop.abort();
      await listening;
    }
  });

  test("that breaks off ends what follows logs with engine_unavailable, and following goes on from the last line", async () => {
    await proxy.open();
    const spec = await run(["/bin/sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; sleep 0.01; done"]);
    const { signal } = new AbortController();
    const lines: { timestamp: string; text: string }[] = [];
    async function follow(until: number): Promise<void> {
      const since = lines.at(-1)?.timestamp;
      const seen = since === undefined ? 0 : 1;
      let skipped = 0;
      for await (const batch of engine.containers.logs(spec.name, {
        follow: true,
        signal,
        ...(since === undefined ? {} : { since }),
      })) {
        for (const line of batch) {
          if (skipped < seen) skipped++;
          else lines.push(line);
        }
        if (lines.length >= until) return;
      }
    }
    const broken = expect(follow(Infinity)).rejects.toMatchObject({ code: "engine_unavailable" });
    await waitUntil("some lines", () => lines.length > 50);
    await proxy.close();
    await broken;
    const before = lines.length;
    await proxy.open();
    await follow(before + 100);
    expect(lines.map(({ text }) => Number(text))).toEqual(Array.from({ length: lines.length }, (_, i) => i + 1));
  });

  test("gives each line once across rotations of the container's log", async () => {
    await proxy.open();
    // 16 MB of log: one rotation at 10 MB at least.
    const total = 130_000;
    const script = `let n=0;const t=setInterval(()=>{let s="";for(let i=0;i<500;i++)s+=n+++" ${"x".repeat(60)}\\n";process.stdout.write(s);if(n>=${total})clearInterval(t)},20)`;
    const spec = await run(["node", "-e", script]);
    let next = 0;
    const wrong: string[] = [];
    for await (const batch of engine.containers.logs(spec.name, {
      follow: true,
      signal: new AbortController().signal,
    })) {
      for (const { text } of batch) {
        if (Number(text.split(" ")[0]) !== next) wrong.push(`${text.slice(0, 12)} instead of ${next}`);
        next = Number(text.split(" ")[0]) + 1;
      }
    }
    expect([wrong.slice(0, 5), next]).toEqual([[], total]);
  });

  test("with a container that prints a million empty lines costs bounded memory, and reading ends", async () => {
    await proxy.open();
    const spec = await run(["/bin/sh", "-c", "yes '' | head -n 1000000"]);
    const before = process.memoryUsage().rss;
    let lines = 0;
    let peak = 0;
    for await (const batch of engine.containers.logs(spec.name, {
      follow: true,
      signal: new AbortController().signal,
    })) {
      lines += batch.length;
      if (lines % 5_000 < 256) peak = Math.max(peak, process.memoryUsage().rss);
    }
    expect(lines).toBeGreaterThan(100_000);
    expect(peak - before).toBeLessThan(150 * 1024 * 1024);
  });

  test("is slowed by a slow reader instead of filling our memory, and let go of when the reader leaves", async () => {
    await proxy.open();
    const spec = await run([
      "/bin/sh",
      "-c",
      "yes 0123456789012345678901234567890123456789 | head -n 300000; sleep 600",
    ]);
    const idle = proxy.connections();
    let read = 0;
    let passed = 0;
    for await (const _batch of engine.containers.logs(spec.name, {
      follow: true,
      signal: new AbortController().signal,
    })) {
      if (++read < 3) {
        await sleep(500);
        passed = proxy.bytesFromEngine();
        continue;
      }
      // 25 MB are waiting; what came through is what fits into buffers.
      expect(proxy.bytesFromEngine() - passed).toBeLessThan(4 * 1024 * 1024);
      break;
    }
    await waitUntil("the connection to close", () => proxy.connections() <= idle);
  });

  test("is told of an out-of-memory kill", async () => {
    await proxy.open();
    const stop = new AbortController();
    const events: EngineEvent[] = [];
    const stream = engine.events(stop.signal);
    const listening = (async () => {
      for await (const event of stream) events.push(event);
    })();
    try {
      const spec = await run(["node", "-e", "const a=[];for(;;)a.push(Buffer.alloc(1<<20,1))"], nodeImage(), {
        memory_mb: 64,
        cpus: 1,
        pids: 64,
      });
      await waitUntil("its end", async () => (await engine.containers.inspect(spec.name))?.state === "exited", 30_000);
      expect(await engine.containers.inspect(spec.name)).toMatchObject({ exitCode: 137, oomKilled: true });
      await waitUntil("the event", () =>
        events.some(({ action, container }) => action === "oom" && container === spec.name),
      );
    } finally {
      stop.abort();
      await listening;
    }
  });

  test("runs a container within its limits, without new privileges, and ends it when its command cannot be executed", async () => {
    await proxy.open();
    const spec = await run([
      "/bin/sh",
      "-c",
      "grep -E 'NoNewPrivs|CapEff' /proc/self/status; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /proc/1/comm",
    ]);
    await waitUntil("its end", async () => (await engine.containers.inspect(spec.name))?.state === "exited");
    const output = await docker("logs", spec.name);
    // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10
    expect(output).toMatch(/CapEff:\s+00000000000004eb\n/);
    expect(output).toMatch(/NoNewPrivs:\s+1\n/);
    expect(output).toMatch(/^134217728$/m);
    expect(output).toMatch(/^(docker-init|tini)$/m);

    const broken = await run(["/there/is/no/such/command"]);
    await waitUntil("its end", async () => (await engine.containers.inspect(broken.name))?.state === "exited");
    expect(await engine.containers.inspect(broken.name)).toMatchObject({ exitCode: 127 });
  });

  test("refuses more CPUs than the machine has as an invalid request, and an image without a command as not runnable", async () => {
    await proxy.open();
    const id = `env-d-${++count}`;
    const spec = {
      name: `${instance}-${id}-app`,
      image: nodeImage(),
      labels: environmentLabels(instance, id, "app"),
      env: {},
      command: ["true"],
      network: `${instance}-${id}`,
      address: "10.190.0.3",
      aliases: [],
      resources: { memory_mb: 64, cpus: 4096, pids: 64 },
    };
    await expect(engine.containers.create(spec)).rejects.toMatchObject({ code: "invalid_request" });

    const empty = `${instance}-empty:1`;
    await pipeInto(["import", "-", empty], "\0".repeat(1024));
    try {
      const bare = { ...spec, image: empty, command: null, resources: { memory_mb: 64, cpus: 1, pids: 64 } };
      await expect(engine.containers.create(bare)).rejects.toMatchObject({ code: "image_not_runnable" });
    } finally {
      await docker("rmi", empty);
    }
  });

  test("carries working tools into a container that has nothing else of them", async () => {
    await proxy.open();
    const spec = await run(["/bin/sleep", "600"]);
    await engine.containers.copyFromImage(spec.name, "sandbox-stress-ng:latest", "/sandbox-tools");
    const tools = "/sandbox-tools";
    const command = [`${tools}/stress-ng-ld`, "--library-path", `${tools}/lib`, `${tools}/stress-ng`, "--version"];
    const result = await engine.containers.exec(spec.name, command, { timeoutMs: 20_000 });
    expect(result).toMatchObject({ exitCode: 0, output: expect.stringContaining("stress-ng") });
    await engine.containers.execDetached(spec.name, ["/bin/sh", "-c", "id -u > /tmp/who"]);
    await waitUntil(
      "the command",
      async () => (await engine.containers.exec(spec.name, ["cat", "/tmp/who"], { timeoutMs: 5_000 })).output === "0\n",
    );
    await expect(engine.containers.execDetached(spec.name, ["/nope"])).rejects.toMatchObject({ code: "engine_failed" });
    expect(await engine.containers.exec(spec.name, ["/nope"], { timeoutMs: 5_000 })).toMatchObject({
      exitCode: expect.toSatisfy((code) => code === 126 || code === 127),
    });
    const flood = await engine.containers.exec(spec.name, ["/bin/sh", "-c", "yes | head -c 5000000"], {
      timeoutMs: 20_000,
    });
    expect([flood.exitCode, flood.output.length]).toEqual([0, 65_536]);
  });
});

type SocketProxy = {
  open(): Promise<void>;
  /** Cuts every connection and takes no new ones. */
  close(): Promise<void>;
  connections(): number;
  bytesFromEngine(): number;
};

/** A second door to the engine that can be shut, since the engine itself is everybody's. */
function createSocketProxy(path: string): SocketProxy {
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let bytes = 0;

  function accept(client: Socket): void {
    const upstream = connect(DOCKER_SOCKET);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    upstream.on("data", (chunk) => void (bytes += chunk.length));
  }

  return {
    async open() {
      if (server !== null) return;
      server = createServer(accept);
      await new Promise<void>((resolve) => server?.listen(path, resolve));
    },
    async close() {
      const closing = server;
      server = null;
      if (closing === null) return;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => closing.close(resolve));
    },
    connections: () => sockets.size / 2,
    bytesFromEngine: () => bytes,
  };
}
