import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { describePlatform } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { freePort, leftovers } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const SLOW_START =
  "setTimeout(() => require('http').createServer((q, r) => { console.log(q.url); r.end() }).listen(3000), 3000)";
const SLOW = { name: "slow", command: ["node", "-e", SLOW_START] };

describePlatform("the end of a platform", {}, (platform) => {
  afterEach(async () => {
    await platform.instance.stopApi("SIGKILL");
    await platform.instance.startApi();
  });

  /** Asks for something, and hangs up as soon as it has begun. */
  async function askAndLeave(
    method: string,
    path: string,
    body: unknown,
    begun: () => Promise<boolean>,
  ): Promise<void> {
    const client = new AbortController();
    const headers = { "content-type": "application/json" };
    const asked = fetch(platform.instance.apiUrl + path, {
      method,
      headers,
      body: JSON.stringify(body),
      signal: client.signal,
    }).catch(() => null);
    await waitUntil("it to have begun", begun, 10_000, 2);
    client.abort();
    await asked;
  }

  const stateFiles = () => {
    const folder = join(platform.instance.folder, "envs");
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as { status: string });
  };

  test("waits for a creation that nobody waits for any more", async () => {
    const isCreating = async () => (await platform.api.list()).body.some(({ status }) => status === "creating");
    await askAndLeave("POST", "/envs", SLOW, isCreating);
    expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
    expect(stateFiles()).toMatchObject([{ status: "running" }]);
    await platform.instance.startApi();
    expect(await expectWholeOrGone(platform.instance)).toHaveLength(1);
  });

  test("waits for a destruction that nobody waits for any more", async () => {
    const { id } = await platform.createDemo({ name: "leaving" });
    const isGoing = async () => (await platform.api.show(id)).body.status !== "running";
    await askAndLeave("DELETE", `/envs/${id}`, {}, isGoing);
    expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
    expect(await leftovers(platform.instance)).toEqual([]);
  });
});

describePlatform(
  "a signal",
  {},
  (platform) => {
    const servers: Server[] = [];
    const folders: string[] = [];
    afterEach(async () => {
      for (const server of servers.splice(0)) server.close();
      for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
      await platform.instance.stopApi("SIGKILL");
      await platform.instance.startApi();
    });

    test.each(["SIGTERM", "SIGINT"] as const)("%s during a shutdown cuts nothing off", async (signal) => {
      const { instance } = platform;
      const slow = platform.api.create(SLOW);
      const isCreating = async () => (await platform.api.list()).body.some(({ status }) => status === "creating");
      await waitUntil("the creation", isCreating, 10_000, 20);
      const [pid, from] = [instance.pid() ?? 0, instance.output().length];
      const said = (words: string) => instance.output().slice(from).includes(words);
      const ended = instance.stopApi("SIGTERM");
      await waitUntil("the shutdown", () => said('"shutting down"'));
      process.kill(pid, signal);
      await waitUntil("its answer", () => said("already shutting down"));
      expect(await ended).toBe(0);
      expectStatus(await slow, 201, { status: "running" });
    });

    test("while the platform starts ends it, once its first reconcile has ended", async () => {
      const { instance } = platform;
      await instance.stopApi();
      const folder = await mkdtemp(join(tmpdir(), "silent-engine-"));
      folders.push(folder);
      const socket = join(folder, "docker.sock");
      const calls: string[] = [];
      const from = instance.output().length;
      servers.push(createServer((client) => client.on("data", (data) => calls.push(String(data)))).listen(socket));
      const starting = instance.startApi({ DOCKER_SOCKET: socket, ENGINE_TIMEOUT: "3" }).catch(() => "never well");
      await waitUntil("its first reconcile to ask the engine", () => calls.length > 0);
      expect(await instance.stopApi("SIGTERM")).toBe(0);
      expect(await starting).toBe("never well");
      expect(instance.output().slice(from)).toContain("cannot reconcile at start");
    });
  },
  ["process"],
);

describePlatform(
  "a start with another subnet pool",
  {},
  (platform) => {
    test("is refused while an environment lives in the former one, names it, and nothing is lost", async () => {
      const { instance } = platform;
      const { id, expires_at } = await platform.createDemo();
      await instance.stopApi();
      const refusal = new RegExp(`SUBNET_POOL is 10.250.0.0/20.*${id}`);
      await expect(instance.startApi({ SUBNET_POOL: "10.250.0.0/20" })).rejects.toThrow(refusal);
      await instance.startApi();
      expect(await expectWholeOrGone(instance)).toMatchObject([{ id, expires_at, status: "running" }]);
    });
  },
  ["process"],
);

describePlatform("a second API", {}, (platform) => {
  /** Its exit code and last words. */
  async function startAnother(variables: Record<string, string>): Promise<{ code: number; said: string }> {
    const env = { ...process.env, ...platform.instance.variables, ...variables };
    const options = { cwd: ROOT, env, timeout: 30_000 };
    return promisify(execFile)(process.execPath, [join(ROOT, "platform/main.ts")], options).then(
      ({ stdout }) => ({ code: 0, said: stdout }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ code, said: stderr }),
    );
  }

  test("of the same instance, while that creates an environment, is refused, says by whom, and touches nothing", async () => {
    const { instance, api } = platform;
    const slow = api.create(SLOW);
    await waitUntil("the creation", async () => (await api.list()).body.length === 1, 10_000, 20);
    for (const PLATFORM_PORT of [instance.variables["PLATFORM_PORT"] ?? "", String(await freePort())]) {
      const { code, said } = await startAnother({ PLATFORM_PORT });
      expect([code, said]).toEqual([1, expect.stringContaining(`Cannot start instance "${instance.name}"`)]);
      expect(said).toContain(instance.apiUrl);
      expect(said).toMatch(/ended by "(kill \d+|docker stop sandbox-t\w+-api)"/);
    }
    expectStatus(await slow, 201, { status: "running" });
    await expectWholeOrGone(instance);
  });

  test("of another instance on the same state folder is refused and touches nothing", async () => {
    const { instance } = platform;
    const { id } = await platform.createDemo();
    const another = { INSTANCE: `${instance.name}-b`, PLATFORM_PORT: String(await freePort()) };
    const { code, said } = await startAnother(another);
    expect([code, said]).toEqual([1, expect.stringMatching(/Cannot start a platform on ".*\/envs"/)]);
    expect((await expectWholeOrGone(instance)).map((environment) => environment.id)).toEqual([id]);
  });

  test("on its address is refused before anything is touched", async () => {
    const { instance } = platform;
    const folder = join(instance.folder, "another");
    const places = { ENVS_DIR: `${folder}/envs`, LOGS_DIR: `${folder}/logs`, NGINX_CONF_DIR: `${folder}/conf.d` };
    const { code, said } = await startAnother({ INSTANCE: `${instance.name}-b`, ...places });
    expect([code, said]).toEqual([1, expect.stringMatching(/^Cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/)]);
    expect(existsSync(join(folder, "logs"))).toBe(false);
  });
});
