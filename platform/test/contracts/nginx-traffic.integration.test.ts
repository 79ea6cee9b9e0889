import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Route } from "../../routing/router.ts";
import type { NginxRouter } from "../../routing/nginx/nginx-router.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";
import { follow, upgrade, upload } from "../support/stream-clients.ts";
import { waitUntil } from "../support/wait-until.ts";

let nginx: NginxContainer;
let router: NginxRouter;
let echoPort = 0;
let counter = 0;

beforeAll(async () => {
  nginx = await startNginxContainer();
  echoPort = (await nginx.listen((incoming, response) => response.end(JSON.stringify(incoming.headers)))).port;
  router = nginx.makeRouter();
});
afterAll(() => nginx?.dispose());

function makeRoute(port = echoPort): Route {
  const id = `env-traffic-${(++counter).toString(36)}`;
  return { id, host: `${id}.localhost`, address: nginx.gateway, port };
}

async function putEnabled(route: Route): Promise<Route> {
  await router.upsert(route);
  await router.enable(route.id);
  return route;
}

async function serve(listener: Parameters<NginxContainer["listen"]>[0]): Promise<Route> {
  return putEnabled(makeRoute((await nginx.listen(listener)).port));
}

/** Other people's creates and destroys: each one a reload of its own. */
async function reloadTimes(times: number): Promise<void> {
  const before = router.stats().reloads;
  for (let n = 0; n < times; n += 2) {
    const other = makeRoute();
    await router.upsert(other);
    await router.remove(other.id);
  }
  expect(router.stats().reloads - before).toBe(times);
}

describe("a request through Nginx", () => {
  it("tells the environment the client and the host, and is answered the same on both ports", async () => {
    const route = await putEnabled(makeRoute());
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

  it("is answered with the id of an environment that does not answer, and with an application's own errors as they are", async () => {
    const route = await serve((_, response) =>
      response.writeHead(502, { "x-sandbox-upstream-status": "200", "x-app": "1" }).end("my own 502"),
    );
    expect(await nginx.get(route.host)).toMatchObject({ status: 502, body: "my own 502", headers: { "x-app": "1" } });
    expect((await nginx.get(route.host)).headers).not.toHaveProperty("x-sandbox-upstream-status");
    expect((await nginx.get(route.host, { port: 8081 })).headers["x-sandbox-upstream-status"]).toBe("502");

    const { server, port } = await nginx.listen(() => undefined);
    await new Promise((done) => server.close(done));
    const gone = makeRoute(port);
    await putEnabled(gone);
    expect(await nginx.get(gone.host)).toMatchObject({
      status: 502,
      body: `Environment ${gone.id} does not answer (502).\n`,
    });
    expect((await nginx.get(gone.host)).headers["content-type"]).toBe("text/plain");
  });

  it("is answered 404 for a host that no environment claims, on either port", async () => {
    expect(await nginx.get("nobody.localhost", { path: "/any/thing?x=1" })).toMatchObject({
      status: 404,
      body: "No environment found\n",
    });
    expect(await nginx.get("nobody.localhost", { port: 8081 })).toMatchObject({
      status: 404,
      body: "No environment found\n",
    });
  });

  it("carries an upload of 200 MB without a length, as it arrives", async () => {
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
    const { body, endedAt } = await upload(nginx.address, route.host, total);
    expect(body).toBe(String(total));
    expect(firstChunkAt).toBeLessThan(endedAt);
  });

  it("carries a WebSocket and an event stream on through ten reloads for other routes", async () => {
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
    const route = await putEnabled(makeRoute(port));
    const socket = await upgrade(nginx.address, route.host);
    const events = await follow(nginx.address, route.host);
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

  it("is not lost while other routes come and go", async () => {
    const route = await putEnabled(makeRoute());
    const done = new AbortController();
    const statuses: number[] = [];
    const steady = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!done.signal.aborted) statuses.push((await nginx.get(route.host)).status);
      }),
    );
    try {
      await reloadTimes(20);
    } finally {
      done.abort();
    }
    await steady;
    expect(statuses.length).toBeGreaterThan(100);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

const PORTS = [80, 8081, ...Array.from({ length: 16 }, (_, index) => 8100 + index)];

/** Asks for each of the hosts on each of the ports at once; a line for each that is answered or refused. */
function askEverything(address: string, hosts: string[]): string {
  const attempts = PORTS.flatMap((port) => hosts.map((host) => [port, host] as const)).map(([port, host]) => {
    const path = port === 8081 && host === "nobody.localhost" ? "/up" : "/";
    const question = `printf 'GET ${path} HTTP/1.1\\r\\nHost: ${host}\\r\\nConnection: close\\r\\n\\r\\n'`;
    const talk = `exec 3<>/dev/tcp/${address}/${port} && ${question} >&3 && head -1 <&3`;
    return `(${talk}) 2>&1 | grep -oE 'HTTP/1.1 [0-9]+|Connection refused' | head -1 | sed 's/^/${port} /'`;
  });
  return `${attempts.join("\n")}\ntrue`;
}

describe("an environment's container", () => {
  it("is refused at Nginx's address in its network, on every port", async () => {
    const route = await putEnabled(makeRoute());
    const said = await nginx.runAsNeighbour(askEverything(nginx.environments.nginxAddress, [route.host]));
    expect(said.trim().split("\n")).toEqual(PORTS.map((port) => `${port} Connection refused`));
    expect((await nginx.get(route.host)).status).toBe(200);
  });

  it("is forbidden everything even where it gets to Nginx's own address, for every host and on every port", async () => {
    const route = await putEnabled(makeRoute());
    const hosts = [route.host, "nobody.localhost", "config-version.sandbox.internal"];
    const said = (await nginx.intruder.run(askEverything(nginx.address, hosts))).trim().split("\n");
    const answered = said.filter((line) => !line.endsWith("Connection refused"));
    // One port of the sixteen is listened on.
    expect(said).toHaveLength(PORTS.length * hosts.length);
    expect(answered).toHaveLength(3 * hosts.length);
    expect(answered.filter((line) => !line.endsWith("HTTP/1.1 403"))).toEqual([]);
  });
});

describe("an Nginx that is cut off the platform's network", () => {
  it("takes configurations and starts all the same, and answers again once it is back, without a restart", async () => {
    const route = await putEnabled(makeRoute());
    for (const meanwhile of [() => nginx.control.reload(), () => nginx.stop().then(() => nginx.startUnseen())]) {
      await nginx.cutOff();
      try {
        expect(await nginx.control.test()).toMatchObject({ ok: true });
        await meanwhile();
      } finally {
        await nginx.reconnect();
      }
      await waitUntil("Nginx to answer", async () => (await nginx.get(route.host)).status === 200);
      await putEnabled(makeRoute());
    }
    const said = await nginx.runAsNeighbour(askEverything(nginx.environments.nginxAddress, [route.host]));
    expect(said.trim().split("\n")).toEqual(PORTS.map((port) => `${port} Connection refused`));
  });
});
