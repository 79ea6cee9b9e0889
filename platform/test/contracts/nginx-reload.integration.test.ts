import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { NginxRouter, NginxRouterOptions } from "../../routing/nginx/nginx-router.ts";
import type { Route } from "../../routing/router.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
let nginx: NginxContainer;
let router: NginxRouter;
let rejected: { file: string; reason: string }[] = [];
let restarts: string[] = [];
let upstreamPort = 0;
let counter = 0;

beforeAll(async () => {
  nginx = await startNginxContainer();
  upstreamPort = (await nginx.listen((_, response) => response.end("hello"))).port;
  router = makeRouter();
});
afterEach(async () => {
  await router.removeStrays(new Set());
  rejected = [];
  restarts = [];
});
afterAll(() => nginx?.dispose());

function makeRouter(changes: Partial<NginxRouterOptions> = {}): NginxRouter {
  return nginx.makeRouter({
    onRejected: (file, reason) => void rejected.push({ file, reason }),
    onRestarted: (reason) => void restarts.push(reason),
    ...changes,
  });
}

function makeRoute(): Route {
  const id = `env-reload-${(++counter).toString(36)}`;
  return { id, host: `${id}.localhost`, address: nginx.gateway, port: upstreamPort };
}

async function putEnabled(by: NginxRouter, ...routes: Route[]): Promise<void> {
  await Promise.all(routes.map((route) => by.upsert(route)));
  await Promise.all(routes.map(({ id }) => by.enable(id)));
}

async function statusesOf(...routes: Route[]): Promise<number[]> {
  return Promise.all(routes.map(async ({ host }) => (await nginx.get(host)).status));
}

/** After each upsert 200 new connections must all meet the new route, and after each removal 50 must not. */
async function changeAndAsk(times: number): Promise<{ wrong: number; reloadMs: number[] }> {
  let wrong = 0;
  let signalled = 0;
  const reloadMs: number[] = [];
  const timed = makeRouter({
    control: {
      ...nginx.control,
      async reload() {
        await nginx.control.reload();
        signalled = performance.now();
      },
    },
  });
  for (let n = 0; n < times; n++) {
    const route = makeRoute();
    await timed.upsert(route);
    reloadMs.push(performance.now() - signalled);
    await timed.enable(route.id);
    for (let burst = 0; burst < 4; burst++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => nginx.get(route.host)));
      wrong += answers.filter(({ status }) => status !== 200).length;
    }
    await timed.remove(route.id);
    // The internal port, since the route is disabled long before Nginx has unloaded anything.
    const answers = await Promise.all(Array.from({ length: 50 }, () => nginx.get(route.host, { port: 8081 })));
    wrong += answers.filter(({ status }) => status !== 404).length;
  }
  return { wrong, reloadMs: reloadMs.sort((a, b) => a - b) };
}

describe("a change of routes on a real Nginx", () => {
  it("is what every new connection meets once it resolves", async () => {
    const { wrong, reloadMs } = await changeAndAsk(20);
    expect(wrong).toBe(0);
    // Nginx itself sleeps 100 ms of it.
    console.log(`reload: median ${Math.round(reloadMs[10] ?? 0)} ms`);
  });

  it("is what every new connection meets also when the processors are busy", async () => {
    const busy: ChildProcess[] = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ["-e", "setTimeout(() => process.exit(), 60_000).unref(); for (;;);"]),
    );
    try {
      expect((await changeAndAsk(10)).wrong).toBe(0);
      expect(restarts).toEqual([]);
    } finally {
      for (const child of busy) child.kill("SIGKILL");
    }
  });

  it("shares reloads: 50 at once take three at most", async () => {
    const routes = Array.from({ length: 50 }, () => makeRoute());
    const before = router.stats().reloads;
    await Promise.all(routes.map((route) => putEnabled(router, route)));
    expect(router.stats().reloads - before).toBeLessThanOrEqual(3);
    const statuses = await Promise.all(routes.map(async ({ host }) => (await nginx.get(host)).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("takes no reload when nothing changes", async () => {
    const route = makeRoute();
    await router.upsert(route);
    const before = router.stats().reloads;
    await router.upsert(route);
    await router.remove("env-never-there");
    expect(router.stats().reloads).toBe(before);
  });

  it("is told apart from former ones after a restart of the platform, of Nginx, and after the folder was wiped", async () => {
    const route = makeRoute();
    await router.upsert(route);
    const restarted = makeRouter();
    await restarted.upsert(route);
    expect(restarted.stats().reloads).toBe(1);

    await nginx.stop();
    await nginx.start();
    const next = makeRoute();
    await putEnabled(restarted, next);
    expect((await nginx.get(next.host)).status).toBe(200);

    await Promise.all(
      (await readdir(nginx.confDir))
        .filter((name) => name.endsWith(".conf"))
        .map((name) => rm(join(nginx.confDir, name))),
    );
    const another = makeRoute();
    await putEnabled(makeRouter(), another);
    expect((await nginx.get(another.host)).status).toBe(200);
    expect((await nginx.get(route.host, { port: 8081 })).status).toBe(404);
  });

  it("is undone where its config version does not come and Nginx cannot be restarted", async () => {
    const unreachable = makeRouter({
      control: { ...nginx.control, reload: async () => undefined, restart: () => Promise.reject(new Error("not now")) },
      reloadTimeoutMs: 300,
    });
    const [route, former] = [makeRoute(), makeRoute()];
    await putEnabled(router, former);
    await expect(unreachable.upsert(route)).rejects.toMatchObject({ code: "ingress_unavailable" });
    await expect(unreachable.remove(former.id)).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await unreachable.check()).toEqual({ ok: false, detail: expect.stringContaining("make up") });
    expect(await router.list()).toEqual([]);
    // The file went, but Nginx has it still, disabled: the next removal gets the reload that is due.
    expect((await nginx.get(former.host)).status).toBe(404);
    expect((await nginx.get(former.host, { port: 8081 })).status).toBe(200);
    await router.remove(former.id);
    expect((await nginx.get(former.host, { port: 8081 })).status).toBe(404);
    expect(await router.check()).toMatchObject({ ok: true });
  });

  it("is applied for all routes but the one that Nginx refuses, also where Nginx names no file", async () => {
    const routes = Array.from({ length: 6 }, () => makeRoute());
    const refused = { ...makeRoute(), host: `${"a".repeat(60)}.`.repeat(4) + "b" };
    const results = await Promise.allSettled([...routes, refused].map((route) => putEnabled(router, route)));
    expect(results.map(({ status }) => status)).toEqual([...routes.map(() => "fulfilled"), "rejected"]);
    expect(results.at(-1)).toMatchObject({
      reason: { code: "ingress_rejected", message: expect.stringContaining("server_names_hash") },
    });
    expect(new Set(await statusesOf(...routes))).toEqual(new Set([200]));
    expect(rejected).toEqual([{ file: `${refused.id}.conf`, reason: expect.stringContaining("[emerg]") }]);
    expect(restarts).toEqual([]);
  });

  it("leaves a worker for every two processors", async () => {
    const workers = async () => {
      const { stdout } = await run("docker", ["top", `${nginx.instance}-nginx`, "-eo", "pid,args"]);
      return stdout.split("\n").filter((line) => line.endsWith("nginx: worker process")).length;
    };
    await putEnabled(router, makeRoute());
    await waitUntil("old workers to be gone", async () => (await workers()) === Math.ceil(availableParallelism() / 2));
  });
});

describe("a foreign file in conf.d", () => {
  it.each<[string, string, (path: string) => Promise<unknown>]>([
    ["that Nginx refuses", "not ours.conf", (path) => writeFile(path, "server {")],
    ["that Nginx accepts", "theirs.conf", (path) => writeFile(path, "# harmless\n")],
    ["under an environment's name", "env-tampered.conf", (path) => writeFile(path, "server { listen 80; evil on; }")],
    ["that is a folder", "folder.conf", (path) => mkdir(join(path, "full"), { recursive: true })],
    ["that is a pipe, which Nginx would wait for ever to read", "aa.conf", (path) => run("mkfifo", [path])],
  ])("%s is quarantined with the next change, which is applied", async (_, file, put) => {
    const [route, next] = [makeRoute(), makeRoute()];
    await putEnabled(router, route);
    await put(join(nginx.confDir, file));
    await putEnabled(router, next);
    expect(await statusesOf(route, next)).toEqual([200, 200]);
    expect(rejected).toEqual([{ file, reason: expect.stringContaining("nginx/extra.d") }]);
    expect(await readdir(nginx.confDir)).not.toContain(file);
    const inQuarantine = await readdir(join(nginx.confDir, "rejected"));
    expect(inQuarantine.filter((name) => name.startsWith(`${file}.2`))).toHaveLength(1);
    // Nginx can start with what is left.
    expect(await nginx.control.test()).toMatchObject({ ok: true });
  });

  it("that took every address when Nginx started has Nginx restarted once it is quarantined", async () => {
    const [route, next] = [makeRoute(), makeRoute()];
    await putEnabled(router, route);
    await nginx.stop();
    await writeFile(join(nginx.confDir, "theirs.conf"), "server { listen 80; server_name theirs.localhost; }\n");
    await nginx.start();
    const isEverywhere = async () =>
      (await run("docker", ["exec", `${nginx.instance}-nginx`, "cat", "/proc/net/tcp"])).stdout.includes(
        " 00000000:0050 ",
      );
    expect(await isEverywhere()).toBe(true);
    await putEnabled(router, next);
    expect(await statusesOf(route, next)).toEqual([200, 200]);
    expect(await isEverywhere()).toBe(false);
    expect(restarts).toHaveLength(1);
  });
});

describe("a conf.d that was replaced on the machine", () => {
  it.each([
    ["removed", () => rm(nginx.confDir, { recursive: true })],
    ["removed and made anew", () => rm(nginx.confDir, { recursive: true }).then(() => mkdir(nginx.confDir))],
    ["moved away and made anew", () => rename(nginx.confDir, `${nginx.confDir}-old`).then(() => mkdir(nginx.confDir))],
  ])("(%s) is given to Nginx with the next change, by one restart that is reported", async (_, replace) => {
    const [route, next] = [makeRoute(), makeRoute()];
    await putEnabled(router, route);
    await replace();
    expect(await router.list()).toEqual([]);
    expect(await router.check()).toEqual({ ok: false, detail: expect.stringContaining("conf.d holds none") });
    await putEnabled(router, next);
    await putEnabled(router, route);
    expect(await statusesOf(route, next)).toEqual([200, 200]);
    expect(restarts).toEqual([expect.stringContaining("removed or replaced")]);
    expect(await router.check()).toMatchObject({ ok: true });
  });
});
