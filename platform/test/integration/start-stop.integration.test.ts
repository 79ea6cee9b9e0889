import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { describePlatform, type PlatformUnderTest } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { freePort } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectWholeOrGone } from "../support/whole-or-gone.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const SLOW_START =
  "setTimeout(() => require('http').createServer((q, r) => { console.log(q.url); r.end() }).listen(3000), 3000)";
const SLOW = { name: "slow", command: ["node", "-e", SLOW_START] };
const UNLIMITED = { MAX_ENVS: "0", MAX_MEMORY_MB: "0" };
const MANY = 30;

/** Waits until an environment is being created. */
const isCreating = ({ api }: PlatformUnderTest) =>
  waitUntil("a create", async () => (await api.list()).body.some(({ status }) => status === "creating"), 20_000, 20);

function shutdownSuite(platform: PlatformUnderTest): void {
  afterEach(() => platform.instance.restartApi("SIGKILL"));

  const isLeaving = (id: string) =>
    waitUntil("a destroy", async () => (await platform.api.show(id)).body.status !== "running", 20_000, 5);
  /** The statuses in the state files, also while the API is down. */
  const savedStatuses = () => {
    const folder = join(platform.instance.folder, "envs");
    const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
    return files.map((name) => (JSON.parse(readFileSync(join(folder, name), "utf8")) as { status: string }).status);
  };

  /** Opens an event stream, which ends with the test, and returns all of its text once it has ended. */
  async function follow(path: string): Promise<() => Promise<string>> {
    const abort = new AbortController();
    onTestFinished(() => abort.abort());
    const headers = { accept: "text/event-stream" };
    const response = await fetch(platform.instance.apiUrl + path, { headers, signal: abort.signal });
    const text = response.text();
    text.catch(() => {});
    return () => text;
  }

  /** Sends a request, and closes its connection once it has begun. */
  async function askAndLeave(
    method: string,
    path: string,
    body: unknown,
    hasBegun: () => Promise<unknown>,
  ): Promise<void> {
    const client = new AbortController();
    const request = { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const asked = fetch(platform.instance.apiUrl + path, { ...request, signal: client.signal }).catch(() => null);
    await hasBegun();
    client.abort();
    await asked;
  }

  test("SIGTERM finishes a create and a destroy in progress, ends streams with a reason, and exits 0", async () => {
    const [kept, leaving] = [await platform.createDemo({ name: "kept" }), await platform.createDemo()];
    const ends = [await follow("/events"), await follow(`/envs/${kept.id}/logs`)];
    const creating = platform.api.create(SLOW);
    await isCreating(platform);
    const destroying = platform.api.destroy(leaving.id);
    await isLeaving(leaving.id);
    expect(await platform.instance.stopApi("SIGTERM")).toBe(0); // 1 where the shutdown took too long
    for (const end of ends) expect(await end()).toContain("event: end\ndata: platform stopping");
    expectStatus(await creating, 201, { status: "running" });
    expectStatus(await destroying, 200);
    await platform.instance.startApi();
    const names = (await expectWholeOrGone(platform.instance)).map(({ name }) => name);
    expect(names.toSorted()).toEqual(["kept", "slow"]);
  });

  test("SIGTERM finishes a create and a destroy whose clients have left", async () => {
    const { id } = await platform.createDemo();
    await askAndLeave("POST", "/envs", SLOW, () => isCreating(platform));
    await askAndLeave("DELETE", `/envs/${id}`, {}, () => isLeaving(id));
    expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
    expect(savedStatuses()).toEqual(["running"]);
    await platform.instance.startApi();
    expect(await expectWholeOrGone(platform.instance)).toHaveLength(1);
  });

  test("SIGTERM waits for no client that holds a connection open without a whole request", async () => {
    const socket = connect(Number(platform.instance.variables["PLATFORM_PORT"]), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    socket.on("error", () => {}); // it may be cut
    socket.write("GET /envs HTTP/1.1\r\nHost: 127.0.0.1\r\n"); // the rest never comes
    expect(await platform.instance.stopApi("SIGTERM")).toBe(0);
  });
}

function signalSuite(platform: PlatformUnderTest): void {
  afterEach(() => platform.instance.restartApi("SIGKILL"));

  test.each(["SIGTERM", "SIGINT"] as const)("a second %s during a shutdown cuts nothing off", async (signal) => {
    const { instance } = platform;
    const slow = platform.api.create(SLOW);
    await isCreating(platform);
    const [pid, from] = [instance.pid() ?? 0, instance.output().length];
    const logged = (text: string) => waitUntil(text, () => instance.output().slice(from).includes(text));
    const ended = instance.stopApi("SIGTERM");
    await logged('"shutting down"');
    process.kill(pid, signal);
    await logged("already shutting down");
    expect(await ended).toBe(0);
    expectStatus(await slow, 201, { status: "running" });
  });

  test("SIGTERM while the platform starts ends it once its first reconcile has ended", async () => {
    const { instance } = platform;
    await instance.stopApi();
    const socket = join(await temporaryFolder(), "docker.sock");
    const calls: string[] = [];
    const from = instance.output().length;
    const server = createServer((client) => client.on("data", (data) => calls.push(String(data)))).listen(socket);
    onTestFinished(() => void server.close());
    const starting = instance.startApi({ DOCKER_SOCKET: socket, ENGINE_TIMEOUT: "3" }).catch(() => "never well");
    await waitUntil("the first reconcile's call of the engine", () => calls.length > 0);
    expect(await instance.stopApi("SIGTERM")).toBe(0);
    expect(await starting).toBe("never well");
    expect(instance.output().slice(from)).toContain("cannot reconcile at start");
  });

  test("another subnet pool is refused while an environment lives in the former one, and nothing is lost", async () => {
    const { instance } = platform;
    const { id, expires_at } = await platform.createDemo();
    await instance.stopApi();
    const refusal = new RegExp(`SUBNET_POOL is 10.250.0.0/20.*${id}`);
    await expect(instance.startApi({ SUBNET_POOL: "10.250.0.0/20" })).rejects.toThrow(refusal);
    await instance.startApi();
    expect(await expectWholeOrGone(instance)).toMatchObject([{ id, expires_at, status: "running" }]);
  });

  test.each(["creates", "destroys"])(
    `SIGTERM amid ${MANY} %s ends the platform in time, and its next start leaves each environment whole or gone`,
    async (operation) => {
      const create = (n: number) => platform.api.create({ name: `many-${n}`, resources: { memory_mb: 32 } });
      const creating = Promise.all(Array.from({ length: MANY }, (_, n) => create(n)));
      const isInProgress = ({ status }: { status: string }) => status === "creating" || status === "destroying";
      const inProgress = async () => (await platform.api.list()).body.filter(isInProgress).length;
      let asked: Promise<unknown> = creating;
      if (operation === "destroys") {
        const made = await creating;
        asked = Promise.allSettled(made.map(({ body }) => platform.api.destroy(body.id)));
      }
      asked.catch(() => {});
      await waitUntil(`${operation} in progress`, async () => (await inProgress()) >= MANY / 2, 30_000, 20);
      expect(await platform.instance.stopApi("SIGTERM")).toBe(0); // 1 where the shutdown took too long
      await asked.catch(() => {});
      await platform.instance.startApi();
      await waitUntil("the rest to be taken down", async () => (await inProgress()) === 0, 90_000);
      await expectWholeOrGone(platform.instance);
    },
    240_000,
  );
}

function secondApiSuite(platform: PlatformUnderTest): void {
  /** The exit code and the output of another API. */
  async function startAnother(variables: Record<string, string>): Promise<{ code: number; output: string }> {
    const env = { ...process.env, ...platform.instance.variables, ...variables };
    const options = { cwd: ROOT, env, timeout: 30_000 };
    return promisify(execFile)(process.execPath, [join(ROOT, "platform/main.ts")], options).then(
      ({ stdout }) => ({ code: 0, output: stdout }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ code, output: stderr }),
    );
  }

  test("a second API of the same instance is refused during a create, names the first one, and touches nothing", async () => {
    const { instance, api } = platform;
    const slow = api.create(SLOW);
    await isCreating(platform);
    for (const PLATFORM_PORT of [instance.variables["PLATFORM_PORT"] ?? "", String(await freePort())]) {
      const { code, output } = await startAnother({ PLATFORM_PORT });
      expect([code, output]).toEqual([1, expect.stringContaining(`Cannot start instance "${instance.name}"`)]);
      expect(output).toContain(instance.apiUrl);
      expect(output).toMatch(/ended by "(kill \d+|docker stop sandbox-t\w+-api)"/);
    }
    expectStatus(await slow, 201, { status: "running" });
    await expectWholeOrGone(instance);
  });

  test("a second API of another instance on the same state folder is refused and touches nothing", async () => {
    const { instance } = platform;
    const { id } = await platform.createDemo();
    const another = { INSTANCE: `${instance.name}-b`, PLATFORM_PORT: String(await freePort()) };
    const { code, output } = await startAnother(another);
    expect([code, output]).toEqual([1, expect.stringMatching(/Cannot start a platform on ".*\/envs"/)]);
    expect((await expectWholeOrGone(instance)).map((environment) => environment.id)).toEqual([id]);
  });

  test("a second API on the same address is refused and touches nothing", async () => {
    const { instance } = platform;
    const folder = join(instance.folder, "another");
    const places = { ENVS_DIR: `${folder}/envs`, LOGS_DIR: `${folder}/logs`, NGINX_CONF_DIR: `${folder}/conf.d` };
    const { code, output } = await startAnother({ INSTANCE: `${instance.name}-b`, ...places });
    expect([code, output]).toEqual([1, expect.stringMatching(/^Cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/)]);
    expect(existsSync(join(folder, "logs"))).toBe(false);
  });
}

describePlatform("start and stop", UNLIMITED, (platform, mode) => {
  describe("a shutdown", () => {
    shutdownSuite(platform);
  });
  describe("a second API", () => {
    secondApiSuite(platform);
  });
  if (mode === "container") return;
  describe("a platform at work", () => {
    signalSuite(platform);
  });
});
