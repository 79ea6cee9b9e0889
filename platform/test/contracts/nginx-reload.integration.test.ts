import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DEFAULT_VERSION_PORTS } from "../../routing/nginx/config-version.ts";
import type { Route } from "../../routing/router.ts";
import { createNginxRouter, type NginxRouter, type NginxRouterOptions } from "../../routing/nginx/nginx-router.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";

const run = promisify(execFile);
let nginx: NginxContainer;
let ingress: NginxRouter;
let rejected: { file: string; reason: string }[] = [];
let upstreamPort = 0;
let counter = 0;

beforeAll(async () => {
  nginx = await startNginxContainer();
  upstreamPort = (await nginx.listen((_, response) => response.end("hello"))).port;
  ingress = makeIngress();
});
afterEach(async () => {
  await ingress.removeStrays(new Set());
  rejected = [];
});
afterAll(() => nginx?.dispose());

function makeIngress(changes: Partial<NginxRouterOptions> = {}): NginxRouter {
  const { confDir, internalUrl, control, environments } = nginx;
  return createNginxRouter({
    confDir,
    internalUrl,
    control,
    deniedSubnets: [environments.subnet],
    onRejected: noteRejected,
    ...changes,
  });
}

function portsOf(listen: (port: number) => string): string {
  const { first, count } = DEFAULT_VERSION_PORTS;
  return Array.from({ length: count }, (_, n) => `listen ${listen(first + n)};`).join(" ");
}

function noteRejected(file: string, reason: string): void {
  rejected.push({ file, reason });
}

function makeRoute(): Route {
  const id = `env-reload-${(++counter).toString(36)}`;
  return { id, host: `${id}.localhost`, address: nginx.gateway, port: upstreamPort };
}

async function putOpen(by: NginxRouter, route: Route): Promise<void> {
  await by.upsert(route);
  await by.enable(route.id);
}

/** After each put 200 new connections must all meet the new route, and after each remove 50 the old state. */
async function changeAndAsk(times: number): Promise<{ wrong: number; reloadMs: number[] }> {
  let wrong = 0;
  let signalled = 0;
  const reloadMs: number[] = [];
  const timed = makeIngress({
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
    // The internal port, since the front door is closed long before Nginx has unloaded anything.
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
    } finally {
      for (const child of busy) child.kill("SIGKILL");
    }
  });

  it("shares reloads: 50 at once take three at most", async () => {
    const routes = Array.from({ length: 50 }, () => makeRoute());
    const before = ingress.stats().reloads;
    await Promise.all(routes.map((route) => putOpen(ingress, route)));
    expect(ingress.stats().reloads - before).toBeLessThanOrEqual(3);
    const statuses = await Promise.all(routes.map(async ({ host }) => (await nginx.get(host)).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("takes no reload when nothing changes", async () => {
    const route = makeRoute();
    await ingress.upsert(route);
    const before = ingress.stats().reloads;
    await ingress.upsert(route);
    await ingress.remove("env-never-there");
    expect(ingress.stats().reloads).toBe(before);
  });

  it("is told apart from former ones after a restart of the platform, of Nginx, and after the folder was wiped", async () => {
    const route = makeRoute();
    await ingress.upsert(route);
    const restarted = makeIngress();
    await restarted.upsert(route);
    expect(restarted.stats().reloads).toBe(1);

    await nginx.stop();
    await nginx.start();
    const next = makeRoute();
    await putOpen(restarted, next);
    expect((await nginx.get(next.host)).status).toBe(200);

    await Promise.all(
      (await readdir(nginx.confDir))
        .filter((name) => name.endsWith(".conf"))
        .map((name) => rm(join(nginx.confDir, name))),
    );
    const another = makeRoute();
    await putOpen(makeIngress(), another);
    expect((await nginx.get(another.host)).status).toBe(200);
    expect((await nginx.get(route.host, { port: 8081 })).status).toBe(404);
  });

  it("is undone when Nginx does not take it up in time", async () => {
    // A second time in a row one would restart Nginx.
    const makeDeaf = () =>
      makeIngress({ control: { ...nginx.control, reload: async () => undefined }, reloadTimeoutMs: 300 });
    const [route, former] = [makeRoute(), makeRoute()];
    await putOpen(ingress, former);
    await expect(makeDeaf().upsert(route)).rejects.toMatchObject({ code: "ingress_unavailable" });
    await expect(makeDeaf().remove(former.id)).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await ingress.list()).toEqual([]);
    // The file went, but Nginx has it still, closed: whoever asks again gets the reload that is owed.
    expect((await nginx.get(former.host)).status).toBe(404);
    expect((await nginx.get(former.host, { port: 8081 })).status).toBe(200);
    await ingress.remove(former.id);
    expect((await nginx.get(former.host, { port: 8081 })).status).toBe(404);
  });
});

describe("a broken file in conf.d", () => {
  it.each([
    ["an unfinished block", "broken.conf", "server {"],
    [
      "an upstream that does not resolve",
      "upstream.conf",
      "server { listen 80; server_name x; location / { proxy_pass http://nobody.invalid; } }",
    ],
    ["a second default server", "default.conf", "server { listen ADDRESS:80 default_server; }"],
    ["an environment's own name", "env-tampered.conf", "server { listen 80; evil on; }"],
    ["a space in its name", "not ours.conf", "}"],
  ])("with %s is set aside and reported, and everybody's routes go on", async (_, file, text) => {
    const route = makeRoute();
    await putOpen(ingress, route);
    await writeFile(join(nginx.confDir, file), text.replaceAll("ADDRESS", nginx.address));
    const next = makeRoute();
    await putOpen(ingress, next);
    expect((await nginx.get(route.host)).status).toBe(200);
    expect((await nginx.get(next.host)).status).toBe(200);
    expect(rejected).toEqual([{ file, reason: expect.stringContaining("[emerg]") }]);
    expect((await readdir(nginx.confDir)).filter((name) => name === file)).toEqual([]);
    expect(
      (await readdir(join(nginx.confDir, "rejected"))).filter((name) => name.startsWith(`${file}.2`)),
    ).toHaveLength(1);
    // What is there now, Nginx can start with.
    expect((await nginx.control.test()).ok).toBe(true);
  });

  it("that is a folder is set aside too", async () => {
    await mkdir(join(nginx.confDir, "folder.conf", "full"), { recursive: true });
    const route = makeRoute();
    await putOpen(ingress, route);
    expect((await nginx.get(route.host)).status).toBe(200);
    expect(rejected).toHaveLength(1);
  });

  it("that is a pipe, which Nginx would wait for ever to read, is set aside before anybody reads it", async () => {
    await run("mkfifo", [join(nginx.confDir, "aa.conf")]);
    const route = makeRoute();
    await putOpen(ingress, route);
    expect((await nginx.get(route.host)).status).toBe(200);
    expect(rejected.map(({ file }) => file)).toEqual(["aa.conf"]);
  });

  it.each([
    ["the ports by which reloads are told apart", portsOf((port) => `${port}`)],
    ["the same at the platform's own address", portsOf((port) => `ADDRESS:${port}`)],
    ["the front door's port on every address", "listen 80; server_name theirs.localhost;"],
  ])("that passes the test, but takes %s, is set aside, and the change is made after all", async (_, inside) => {
    const brisk = makeIngress({ reloadTimeoutMs: 5_000 });
    const [route, next] = [makeRoute(), makeRoute()];
    await putOpen(brisk, route);
    await writeFile(join(nginx.confDir, "theirs.conf"), `server { ${inside} }\n`.replaceAll("ADDRESS", nginx.address));
    expect(await nginx.control.test()).toMatchObject({ ok: true });
    await putOpen(brisk, next);
    expect((await nginx.get(route.host)).status).toBe(200);
    expect((await nginx.get(next.host)).status).toBe(200);
    expect(rejected).toEqual([{ file: "theirs.conf", reason: expect.stringContaining("does not take up") }]);
  });

  it("is the only one to be refused among routes put at the same time", async () => {
    const routes = Array.from({ length: 6 }, () => makeRoute());
    const results = await Promise.allSettled(
      routes.map((route, index) =>
        putOpen(ingress, index === 3 ? { ...route, host: `${"a".repeat(60)}.`.repeat(4) + "b" } : route),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(
      routes.map((_, index) => (index === 3 ? "rejected" : "fulfilled")),
    );
    const statuses = await Promise.all(routes.map(async ({ host }) => (await nginx.get(host)).status));
    expect(statuses).toEqual(routes.map((_, index) => (index === 3 ? 404 : 200)));
    expect(rejected.map(({ file }) => file)).toEqual([`${routes[3]?.id}.conf`]);
  });
});

describe("a conf.d that was replaced on the machine", () => {
  it.each([
    ["removed", () => rm(nginx.confDir, { recursive: true })],
    ["removed and made anew", () => rm(nginx.confDir, { recursive: true }).then(() => mkdir(nginx.confDir))],
    ["moved away, and made anew", () => rename(nginx.confDir, `${nginx.confDir}-old`).then(() => mkdir(nginx.confDir))],
  ])("(%s) is given to Nginx with the next change, by a restart that is told", async (_, replace) => {
    const restarts: string[] = [];
    const repairing = makeIngress({ onRestarted: (reason) => restarts.push(reason) });
    const [route, next] = [makeRoute(), makeRoute()];
    await putOpen(repairing, route);
    await replace();
    expect(await repairing.list()).toEqual([]);
    expect(await repairing.check()).toEqual({ ok: false, detail: expect.stringContaining("removed or replaced") });
    await putOpen(repairing, next);
    await putOpen(repairing, route);
    const statuses = await Promise.all([route, next].map(async ({ host }) => (await nginx.get(host)).status));
    expect(statuses).toEqual([200, 200]);
    expect(restarts).toEqual([expect.stringContaining("removed or replaced")]);
    expect(await repairing.check()).toMatchObject({ ok: true });
  });
});
