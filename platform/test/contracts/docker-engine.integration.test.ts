import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { createDockerEngine } from "../../workloads/docker/docker-engine.ts";
import {
  docker,
  DOCKER_SOCKET,
  dockerWithInput,
  plannedContainer,
  removeTestObjects,
  runContainer,
  testInstanceName,
  testObjects,
} from "../support/docker.ts";
import { createDockerEngineSubject, ENGINE_TIMEOUT_MS, STRESS_IMAGE } from "../support/docker-engine-subject.ts";
import { waitUntil } from "../support/wait-until.ts";
import { describeEngineContract } from "./engine-contract.ts";

describeEngineContract("Docker", () => createDockerEngineSubject());

describe("a Docker engine", () => {
  const instance = testInstanceName();
  const engine = createDockerEngine({ socketPath: DOCKER_SOCKET, instance, timeoutMs: ENGINE_TIMEOUT_MS });

  afterAll(async () => {
    await removeTestObjects(instance);
    const left = await testObjects(instance);
    if (left.length > 0) throw new Error(`These tests left ${left.join(", ")}`);
  });

  async function exited(container: string): Promise<void> {
    const look = async () => (await engine.containers.inspect(container))?.state === "exited";
    await waitUntil(`the end of ${container}`, look, 30_000);
  }

  test("tells an out-of-memory kill from another end, by inspection and by one event", async () => {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const events = engine.events(stop.signal);
    // It has hardly a page of its own that the kernel could take away instead.
    const { name } = await runContainer(engine, instance, ["tail", "/dev/zero"], { memory_mb: 64 });
    const lastRun: string[] = [];
    void (async () => {
      for await (const { action, container } of events) {
        if (container !== name) continue;
        if (action === "start") lastRun.length = 0;
        lastRun.push(action);
      }
    })();
    // On a busy machine the engine itself may not notice one.
    await waitUntil(
      "an out-of-memory kill that the engine knows of",
      async () => {
        await engine.containers.start(name);
        await exited(name);
        return (await engine.containers.inspect(name))?.oomKilled;
      },
      90_000,
    );
    expect(await engine.containers.inspect(name)).toMatchObject({ exitCode: 137, oomKilled: true });
    await waitUntil("its events", () => lastRun.includes("die") && lastRun.includes("oom"));
    expect(lastRun.filter((action) => action === "oom")).toHaveLength(1);
  });

  test("runs a container within its limits, without new privileges, under an init", async () => {
    const status = "grep -E 'NoNewPrivs|CapEff' /proc/self/status";
    const memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    const { name } = await runContainer(engine, instance, ["/bin/sh", "-c", `${status}; ${memory}; cat /proc/1/comm`]);
    await exited(name);
    const output = await docker("logs", name);
    // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10
    expect(output).toMatch(/CapEff:\s+00000000000004eb\n/);
    expect(output).toMatch(/NoNewPrivs:\s+1\n/);
    expect(output).toMatch(/^134217728$/m);
    expect(output).toMatch(/^(docker-init|tini)$/m);
  });

  test("ends a container at once with 127 when its command does not exist", async () => {
    const { name } = await runContainer(engine, instance, ["/there/is/no/such/command"]);
    await exited(name);
    expect(await engine.containers.inspect(name)).toMatchObject({ exitCode: 127 });
  });

  test("starts at once what the engine itself would start again only after a while", async () => {
    const { name } = await runContainer(engine, instance, ["/bin/sh", "-c", "test -e /go && exec sleep 600; exit 1"]);
    await docker("update", "--restart", "unless-stopped", name);
    await engine.containers.start(name);
    // By now it waits for more than three seconds between two tries.
    await waitUntil("the engine to wait", async () => {
      const [state, restarts] = (await docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", name)).split(" ");
      return state === "restarting" && Number(restarts) >= 5;
    });
    await docker("cp", "/etc/hostname", `${name}:/go`);
    await engine.containers.start(name);
    expect(await engine.containers.inspect(name)).toMatchObject({ state: "running" });
  });

  test("has a container that does not run let go of a network that was removed meanwhile", async () => {
    const { name, network } = await runContainer(engine, instance, ["/bin/sleep", "600"]);
    await engine.containers.kill(name, "SIGKILL");
    await exited(name);
    await docker("network", "rm", network);
    await expect(engine.containers.start(name)).rejects.toMatchObject({ code: "conflict" });
    await engine.networks.disconnect(network, name);
    expect((await engine.containers.inspect(name))?.networks).toEqual({});
  });

  test("refuses more CPUs than the machine has as an invalid request", async () => {
    const { container } = await plannedContainer(instance, ["true"]);
    const greedy = { ...container, resources: { ...container.resources, cpus: 4096 } };
    await expect(engine.containers.create(greedy)).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("refuses an image that names no command as not runnable, unless the spec names one", async () => {
    const image = `${instance}-empty:1`;
    await dockerWithInput("\0".repeat(1024), "import", "-", image);
    try {
      const { container } = await plannedContainer(instance, null);
      await expect(engine.containers.create({ ...container, image })).rejects.toMatchObject({
        code: "image_not_runnable",
      });
      await engine.containers.create({ ...container, image, command: ["/x"] });
      await engine.containers.remove(container.name);
    } finally {
      await docker("rmi", image);
    }
  });

  test("carries tools into a container where they work as root", async () => {
    const { name } = await runContainer(engine, instance, ["/bin/sleep", "600"]);
    const tools = "/sandbox-tools";
    await engine.containers.copyFromImage(name, STRESS_IMAGE, tools);
    const command = [`${tools}/stress-ng-ld`, "--library-path", `${tools}/lib`, `${tools}/stress-ng`, "--version"];
    expect(await engine.containers.exec(name, command, { timeoutMs: 20_000 })).toMatchObject({
      exitCode: 0,
      output: expect.stringContaining("stress-ng"),
    });
    await engine.containers.execDetached(name, ["/bin/sh", "-c", "id -u > /tmp/who"]);
    await waitUntil("the detached command", async () => {
      const { output } = await engine.containers.exec(name, ["cat", "/tmp/who"], { timeoutMs: 5_000 });
      return output === "0\n";
    });
  });

  test("tells that a command inside cannot be executed", async () => {
    const { name } = await runContainer(engine, instance, ["/bin/sleep", "600"]);
    const { exitCode } = await engine.containers.exec(name, ["/nope"], { timeoutMs: 5_000 });
    expect([126, 127]).toContain(exitCode);
    await expect(engine.containers.execDetached(name, ["/nope"])).rejects.toMatchObject({ code: "engine_failed" });
  });

  test("keeps the first 64 KiB of what a command prints, and lets it end", async () => {
    const { name } = await runContainer(engine, instance, ["/bin/sleep", "600"]);
    const flood = await engine.containers.exec(name, ["/bin/sh", "-c", "yes | head -c 5000000"], { timeoutMs: 20_000 });
    expect([flood.exitCode, flood.output.length]).toEqual([0, 65_536]);
  });
});
