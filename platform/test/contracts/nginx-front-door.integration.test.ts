import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createNginxIngress, type NginxIngress, type NginxIngressOptions } from "../../ingress/nginx-ingress.ts";
import type { Route } from "../../ingress/ingress.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";
import { waitUntil } from "../support/wait-until.ts";

let nginx: NginxContainer;
let ingress: NginxIngress;
let rejected: { file: string; reason: string }[] = [];
let echoPort = 0;
let counter = 0;

function makeIngress(changes: Partial<NginxIngressOptions> = {}): NginxIngress {
  const { confDir, internalUrl, control, environments } = nginx;
  const onRejected = (file: string, reason: string): void => void rejected.push({ file, reason });
  return createNginxIngress({ confDir, internalUrl, control, deniedSubnets: [environments.subnet], onRejected, ...changes });
}

function makeRoute(port = echoPort): Route {
  const id = `env-door-${(++counter).toString(36)}`;
  return { id, host: `${id}.localhost`, address: nginx.gateway, port };
}

async function serve(listener: Parameters<NginxContainer["listen"]>[0]): Promise<Route> {
  const route = makeRoute((await nginx.listen(listener)).port);
  await ingress.put(route);
  return route;
}

/** Other people's creates and destroys: each one a reload of its own. */
async function reloadTimes(times: number): Promise<void> {
  const before = ingress.stats().reloads;
  for (let n = 0; n < times; n += 2) {
    const other = makeRoute();
    await ingress.put(other);
    await ingress.remove(other.id);
  }
  expect(ingress.stats().reloads - before).toBe(times);
}

beforeAll(async () => {
  nginx = await startNginxContainer();
  echoPort = (await nginx.listen((incoming, response) => response.end(JSON.stringify(incoming.headers)))).port;
  ingress = makeIngress();
});
afterEach(async () => {
  await ingress.removeStrays(new Set());
  rejected = [];
});
afterAll(() => nginx?.dispose());

describe("a change of routes on a real Nginx", () => {
  /** After each put 200 new connections must all meet the new route, and after each remove 50 the old state. */
  async function changeAndAsk(times: number): Promise<{ wrong: number; reloadMs: number[] }> {
    let wrong = 0;
    let signalled = 0;
    const reloadMs: number[] = [];
    const timed = makeIngress({
      control: {
        test: nginx.control.test,
        async reload() {
          await nginx.control.reload();
          signalled = performance.now();
        },
      },
    });
    for (let n = 0; n < times; n++) {
      const route = makeRoute();
      await timed.put(route);
      reloadMs.push(performance.now() - signalled);
      for (let burst = 0; burst < 4; burst++) {
        const answers = await Promise.all(Array.from({ length: 50 }, () => nginx.get(route.host)));
        wrong += answers.filter(({ status }) => status !== 200).length;
      }
      await timed.remove(route.id);
      const answers = await Promise.all(Array.from({ length: 50 }, () => nginx.get(route.host)));
      wrong += answers.filter(({ status }) => status !== 404).length;
    }
    return { wrong, reloadMs: reloadMs.sort((a, b) => a - b) };
  }

  it("is what every new connection meets once it resolves", async () => {
    const { wrong, reloadMs } = await changeAndAsk(20);
    expect(wrong).toBe(0);
    // Nginx itself sleeps 100 ms of it.
    console.info(`reload, from the signal until complete: median ${Math.round(reloadMs[10] ?? 0)} ms, worst ${Math.round(reloadMs.at(-1) ?? 0)} ms`);
    expect(reloadMs[10]).toBeLessThan(300);
  });

  it("is what every new connection meets also when the processors are busy", async () => {
    const busy: ChildProcess[] = Array.from({ length: 4 }, () => spawn(process.execPath, ["-e", "setTimeout(() => process.exit(), 60_000).unref(); for (;;);"]));
    try {
      expect((await changeAndAsk(10)).wrong).toBe(0);
    } finally {
      for (const child of busy) child.kill("SIGKILL");
    }
  });

  it("shares reloads: 50 at once take three at most", async () => {
    const routes = Array.from({ length: 50 }, () => makeRoute());
    const before = ingress.stats().reloads;
    await Promise.all(routes.map((route) => ingress.put(route)));
    expect(ingress.stats().reloads - before).toBeLessThanOrEqual(3);
    const statuses = await Promise.all(routes.map(async ({ host }) => (await nginx.get(host)).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("takes no reload when nothing changes", async () => {
    const route = makeRoute();
    await ingress.put(route);
    const before = ingress.stats().reloads;
    await ingress.put(route);
    await ingress.remove("env-never-there");
    expect(ingress.stats().reloads).toBe(before);
  });

  it("is told apart from former ones after a restart of the platform, of Nginx, and after the folder was wiped", async () => {
    const route = makeRoute();
    await ingress.put(route);
    const restarted = makeIngress();
    await restarted.put(route);
    expect(restarted.stats().reloads).toBe(1);

    await nginx.stop();
    await nginx.start();
    const next = makeRoute();
    await restarted.put(next);
    expect((await nginx.get(next.host)).status).toBe(200);

    for (const name of await readdir(nginx.confDir)) if (name.endsWith(".conf")) await ingress.remove(name.slice(0, -5));
    await writeFile(join(nginx.confDir, "00-generation.conf"), "");
    const another = makeRoute();
    await makeIngress().put(another);
    expect((await nginx.get(another.host)).status).toBe(200);
    expect((await nginx.get(route.host)).status).toBe(404);
  });

  it("is undone when Nginx does not take it up in time", async () => {
    const deaf = makeIngress({ control: { test: nginx.control.test, reload: async () => undefined }, reloadTimeoutMs: 300 });
    const [route, former] = [makeRoute(), makeRoute()];
    await ingress.put(former);
    await expect(deaf.put(route)).rejects.toMatchObject({ code: "ingress_unavailable" });
    await expect(deaf.remove(former.id)).rejects.toMatchObject({ code: "ingress_unavailable" });
    expect(await ingress.list()).toEqual([]);
    // The file went, and whoever tries again is not told that all is well before it is.
    expect((await nginx.get(former.host)).status).toBe(200);
    await ingress.remove(former.id);
    await deaf.remove(former.id).catch(() => undefined);
    await makeIngress().remove(former.id);
    expect((await nginx.get(former.host)).status).toBe(404);
  });
});

describe("a broken file in conf.d", () => {
  it.each([
    ["an unfinished block", "broken.conf", "server {"],
    ["an upstream that does not resolve", "upstream.conf", "server { listen 80; server_name x; location / { proxy_pass http://nobody.invalid; } }"],
    ["a second default server", "default.conf", "server { listen 80 default_server; }"],
    ["an environment's own name", "env-tampered.conf", "server { listen 80; evil on; }"],
    ["a space in its name", "not ours.conf", "}"],
  ])("with %s is set aside and reported, and everybody's routes go on", async (_, file, text) => {
    const route = makeRoute();
    await ingress.put(route);
    await writeFile(join(nginx.confDir, file), text);
    const next = makeRoute();
    await ingress.put(next);
    expect((await nginx.get(route.host)).status).toBe(200);
    expect((await nginx.get(next.host)).status).toBe(200);
    expect(rejected).toEqual([{ file, reason: expect.stringContaining("[emerg]") }]);
    expect((await readdir(nginx.confDir)).filter((name) => name === file)).toEqual([]);
    expect((await readdir(join(nginx.confDir, "rejected"))).filter((name) => name.startsWith(`${file}.2`))).toHaveLength(1);
    // What is there now, Nginx can start with.
    expect((await nginx.control.test()).ok).toBe(true);
  });

  it("that is a folder is set aside too", async () => {
    await mkdir(join(nginx.confDir, "folder.conf", "full"), { recursive: true });
    const route = makeRoute();
    await ingress.put(route);
    expect((await nginx.get(route.host)).status).toBe(200);
    expect(rejected).toHaveLength(1);
  });

  it("is the only one to be refused among routes put at the same time", async () => {
    const routes = Array.from({ length: 6 }, () => makeRoute());
    const results = await Promise.allSettled(
      routes.map((route, index) => ingress.put(index === 3 ? { ...route, host: `${"a".repeat(60)}.`.repeat(4) + "b" } : route)),
    );
    expect(results.map(({ status }) => status)).toEqual(routes.map((_, index) => (index === 3 ? "rejected" : "fulfilled")));
    const statuses = await Promise.all(routes.map(async ({ host }) => (await nginx.get(host)).status));
    expect(statuses).toEqual(routes.map((_, index) => (index === 3 ? 404 : 200)));
    expect(rejected.map(({ file }) => file)).toEqual([`${routes[3]?.id}.conf`]);
  });
});

describe("what passes through the front door", () => {
  it("tells the environment who asked and for what, and answers the same on both ports", async () => {
    const route = makeRoute();
    await ingress.put(route);
    const { body, headers } = await nginx.get(route.host, { port: 80 });
    expect(JSON.parse(body)).toMatchObject({
      host: route.host,
      "x-real-ip": nginx.gateway,
      "x-forwarded-for": nginx.gateway,
      "x-forwarded-proto": "http",
      "x-forwarded-host": route.host,
    });
    expect(JSON.parse(body)).not.toHaveProperty("upgrade");
    expect(headers).not.toHaveProperty("x-sandbox-upstream-status");
    expect((await nginx.get(route.host, { port: 8081 })).headers).toMatchObject({ "x-sandbox-upstream-status": "200" });
  });

  it("says which environment does not answer, and passes an application's own errors as they are", async () => {
    const route = await serve((_, response) => response.writeHead(502, { "x-sandbox-upstream-status": "200", "x-app": "1" }).end("my own 502"));
    expect(await nginx.get(route.host)).toMatchObject({ status: 502, body: "my own 502", headers: { "x-app": "1" } });
    expect((await nginx.get(route.host)).headers).not.toHaveProperty("x-sandbox-upstream-status");
    expect((await nginx.get(route.host, { port: 8081 })).headers["x-sandbox-upstream-status"]).toBe("502");

    const { server, port } = await nginx.listen(() => undefined);
    await new Promise((done) => server.close(done));
    const gone = makeRoute(port);
    await ingress.put(gone);
    expect(await nginx.get(gone.host)).toMatchObject({ status: 502, body: `Environment ${gone.id} does not answer (502).\n` });
    expect((await nginx.get(gone.host)).headers["content-type"]).toBe("text/plain");
  });

  it("answers 404 for a host that no environment claims, whatever the method", async () => {
    expect(await nginx.get("nobody.localhost", { path: "/any/thing?x=1" })).toMatchObject({ status: 404, body: "No environment found\n" });
    expect(await nginx.get("nobody.localhost", { port: 8081 })).toMatchObject({ status: 404, body: "No environment found\n" });
  });

  it("takes an upload of 200 MB without a length, as it arrives", async () => {
    let received = 0;
    let firstChunkAt = 0;
    const route = await serve((incoming, response) => {
      incoming.on("data", (chunk: Buffer) => {
        firstChunkAt ||= performance.now();
        received += chunk.length;
      });
      incoming.on("end", () => response.end(String(received)));
    });
    const total = 200 * 2 ** 20;
    const { body, endedAt } = await upload(route.host, total);
    expect(body).toBe(String(total));
    expect(firstChunkAt).toBeLessThan(endedAt);
  });

  it("carries a WebSocket and an event stream on through ten reloads for others", async () => {
    const streams: NodeJS.Timeout[] = [];
    const { server, port } = await nginx.listen((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      let n = 0;
      streams.push(setInterval(() => response.write(`data: ${n++}\n\n`), 20));
    });
    server.on("upgrade", (_, socket: Duplex) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket.on("data", (chunk: Buffer) => socket.write(chunk));
    });
    const route = makeRoute(port);
    await ingress.put(route);
    const socket = await upgrade(route.host);
    const events = await follow(route.host);
    let echoed = "";
    socket.on("data", (chunk: Buffer) => (echoed += chunk.toString()));

    try {
      await reloadTimes(10);
      socket.write("still here");
      await waitUntil("the WebSocket's echo", () => echoed === "still here");
      const seen = events.numbers.length;
      await waitUntil("more events", () => events.numbers.length > seen + 5);
      expect(events.numbers).toEqual(events.numbers.map((_, index) => index));
      expect(events.ended()).toBe(false);
      expect(socket.destroyed).toBe(false);
    } finally {
      streams.forEach(clearInterval);
      socket.destroy();
      events.response.destroy();
    }
  });

  it("loses no request of one environment while others come and go", async () => {
    const route = makeRoute();
    await ingress.put(route);
    let running = true;
    const statuses: number[] = [];
    const steady = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (running) statuses.push((await nginx.get(route.host)).status);
      }),
    );
    try {
      await reloadTimes(20);
    } finally {
      running = false;
    }
    await steady;
    expect(statuses.length).toBeGreaterThan(100);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

describe("an environment's container", () => {
  it("reaches nothing through Nginx, whatever host it names and on whatever port", async () => {
    const route = makeRoute();
    await ingress.put(route);
    const hosts = [route.host, "nobody.localhost", "generation.sandbox.internal"];
    const ports = [80, 8081, ...Array.from({ length: 16 }, (_, index) => 8100 + index)];
    const { nginxAddress } = nginx.environments;
    const script = ports
      .flatMap((port) => hosts.map((host) => [port, host] as const))
      .map(([port, host]) => {
        const path = port === 8081 && host === "nobody.localhost" ? "/up" : "/";
        return `(exec 3<>/dev/tcp/${nginxAddress}/${port} && printf 'GET ${path} HTTP/1.1\\r\\nHost: ${host}\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -1 <&3 | sed 's/^/${port} /') 2>/dev/null`;
      })
      .join("\n");
    const lines = (await nginx.runAsNeighbour(`${script}\ntrue`)).trim().split("\n");
    // One port of the sixteen is listened on.
    expect(lines).toHaveLength(3 * hosts.length);
    expect(lines.filter((line) => !line.includes(" 403 "))).toEqual([]);
    expect((await nginx.get(route.host)).status).toBe(200);
  });
});

/** Sends `bytes` in chunks, without announcing how many. */
function upload(host: string, bytes: number): Promise<{ body: string; endedAt: number }> {
  return new Promise((done, fail) => {
    let endedAt = 0;
    const outgoing = request({ host: nginx.address, method: "POST", headers: { host, "transfer-encoding": "chunked" }, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => done({ body, endedAt }));
    });
    outgoing.on("error", fail);
    const chunk = Buffer.alloc(2 ** 20);
    let left = bytes;
    const send = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!outgoing.write(chunk)) return void outgoing.once("drain", send);
      }
      endedAt = performance.now();
      outgoing.end();
    };
    send();
  });
}

function upgrade(host: string): Promise<Duplex> {
  return new Promise((done, fail) => {
    const headers = { host, connection: "Upgrade", upgrade: "websocket" };
    const outgoing = request({ host: nginx.address, headers, agent: false });
    outgoing.once("upgrade", (_, socket) => done(socket));
    outgoing.once("response", ({ statusCode }) => fail(new Error(`answered ${statusCode} to an upgrade`)));
    outgoing.on("error", fail);
    outgoing.end();
  });
}

function follow(host: string): Promise<{ numbers: number[]; ended: () => boolean; response: IncomingMessage }> {
  return new Promise((done, fail) => {
    const outgoing = request({ host: nginx.address, headers: { host }, agent: false }, (response) => {
      const numbers: number[] = [];
      let ended = false;
      response.setEncoding("utf8").on("data", (text: string) => {
        for (const [, digits] of text.matchAll(/data: (\d+)/g)) numbers.push(Number(digits));
      });
      response.on("close", () => (ended = true));
      response.on("error", () => undefined); // dropped by ourselves at the end
      done({ numbers, ended: () => ended, response });
    });
    outgoing.on("error", fail);
    outgoing.end();
  });
}
