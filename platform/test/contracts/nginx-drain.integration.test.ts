import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RELOAD_MARK } from "../../routing/nginx/conf-folder.ts";
import type { Route } from "../../routing/router.ts";
import type { NginxRouter } from "../../routing/nginx/nginx-router.ts";
import { startNginxContainer, type NginxContainer } from "../support/nginx-container.ts";
import { startSteadyClients } from "../support/steady-clients.ts";
import { upgrade, upload } from "../support/stream-clients.ts";
import { waitUntil } from "../support/wait-until.ts";

let nginx: NginxContainer;
let router: NginxRouter;
let port = 0;
let connections = 0;
let route: Route;

beforeAll(async () => {
  nginx = await startNginxContainer();
  router = nginx.makeRouter();
  const listening = await nginx.listen((incoming, response) => {
    const status = Number(/^\/status\/(\d+)/.exec(incoming.url ?? "")?.[1] ?? 200);
    let received = 0;
    incoming.on("data", (chunk: Buffer) => (received += chunk.length));
    incoming.on("end", () => response.writeHead(status).end(`${incoming.method} ${incoming.url} ${received}`));
  });
  ({ port } = listening);
  listening.server.on("connection", () => connections++);
  listening.server.on("upgrade", (_, socket: Duplex) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    socket.on("error", () => undefined).pipe(socket);
  });
  route = makeRoute("env-drain-1");
  await router.upsert(route);
  await router.enable(route.id);
});
afterEach(() => rm(join(nginx.confDir, RELOAD_MARK), { force: true }));
afterAll(() => nginx?.dispose());

function makeRoute(id: string): Route {
  return { id, host: `${id}.localhost`, address: nginx.gateway, port };
}

const KEEP = { headers: { connection: "keep-alive" } };

describe("kept connections", () => {
  it("lose no request while other routes come and go, and are in fact kept", async () => {
    const common = { address: nginx.address, port: 80, host: route.host, keepAlive: true };
    const clients = [0, 10, 50].map((pauseMs) => startSteadyClients({ ...common, clients: 4, pauseMs }));
    const other = makeRoute("env-drain-2");
    for (let n = 0; n < 20; n++) await (n % 2 === 0 ? router.upsert(other) : router.remove(other.id));
    const seen = clients.map(({ tally }) => tally.reused);
    // No reload is under way now, so connections are kept again.
    await waitUntil("connections to be kept", () =>
      clients.every(({ tally }, index) => tally.reused > (seen[index] ?? 0) + 10),
    );
    const tallies = await Promise.all(clients.map(({ stop }) => stop()));
    expect(tallies.map(({ failures }) => failures)).toEqual([{}, {}, {}]);
  });

  it("lead to connections that are kept to the environment", async () => {
    const before = connections;
    const client = startSteadyClients({
      address: nginx.address,
      port: 80,
      host: route.host,
      clients: 1,
      pauseMs: 0,
      keepAlive: true,
    });
    await waitUntil("100 answers", () => client.tally.answered >= 100);
    await client.stop();
    expect(connections - before).toBeLessThan(20);
  });

  it("end with the next answer while Nginx reloads, of unknown hosts too", async () => {
    for (const host of [route.host, "nobody.localhost"]) {
      expect((await nginx.get(host, KEEP)).headers.connection).toBe("keep-alive");
      await writeFile(join(nginx.confDir, RELOAD_MARK), "");
      expect((await nginx.get(host, KEEP)).headers.connection).toBe("close");
      await rm(join(nginx.confDir, RELOAD_MARK));
    }
  });
});

describe("while Nginx reloads", () => {
  it("every request comes to the environment as it was sent, and every answer back as it was given", async () => {
    await writeFile(join(nginx.confDir, RELOAD_MARK), "");
    for (const path of ["/a%2fb//c?d=%20&e", "/status/418", "/status/421", "/status/502", "/status/404?x"]) {
      const status = Number(/\d{3}/.exec(path)?.[0] ?? 200);
      expect(await nginx.get(route.host, { path })).toMatchObject({ status, body: `GET ${path} 0` });
      expect(await nginx.get(route.host, { path, method: "DELETE" })).toMatchObject({ body: `DELETE ${path} 0` });
    }
    expect((await upload(nginx.address, route.host, 20 * 2 ** 20)).body).toBe(`POST /upload ${20 * 2 ** 20}`);
  });

  it("a WebSocket can be opened", async () => {
    await writeFile(join(nginx.confDir, RELOAD_MARK), "");
    const socket = await upgrade(nginx.address, route.host);
    socket.write("hello");
    expect(String((await once(socket as Socket, "data"))[0])).toBe("hello");
    socket.destroy();
  });

  it("an environment that does not answer is still named", async () => {
    const gone = await nginx.listen(() => undefined);
    await new Promise((done) => gone.server.close(done));
    const silent = { ...makeRoute("env-drain-3"), port: gone.port };
    await router.upsert(silent);
    await router.enable(silent.id);
    await writeFile(join(nginx.confDir, RELOAD_MARK), "");
    expect(await nginx.get(silent.host)).toMatchObject({
      status: 502,
      body: `Environment ${silent.id} does not answer (502).\n`,
    });
  });
});
