import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createEdgeProbe } from "./edge-probe.ts";

/** Answers that a real Nginx does not send; test/contracts/ has the others, on the real one. */
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const TARGET = { host: "env-a.localhost", path: "/health", timeoutMs: 2_000 };
const UPSTREAM = { "x-sandbox-upstream-status": "200" };

async function probeHttp(listener: RequestListener, changes: Partial<typeof TARGET> = {}) {
  const internalUrl = await listen(createHttpServer(listener));
  return createEdgeProbe({ internalUrl }).check({ ...TARGET, ...changes });
}

async function probeRaw(onConnection: (socket: Socket) => void) {
  const internalUrl = await listen(createServer((socket) => onConnection(socket.on("error", () => undefined))));
  return createEdgeProbe({ internalUrl }).check(TARGET);
}

describe("the edge probe", () => {
  it("requests the path with the environment's host, on a connection of its own", async () => {
    let seen: unknown;
    const result = await probeHttp((incoming, response) => {
      seen = {
        url: incoming.url,
        method: incoming.method,
        host: incoming.headers.host,
        connection: incoming.headers.connection,
      };
      response.writeHead(200, UPSTREAM).end();
    });
    expect(result).toMatchObject({ ok: true, fault: null });
    expect(seen).toEqual({ url: "/health", method: "GET", host: "env-a.localhost", connection: "close" });
  });

  it("succeeds with the headers of an answer whose body never ends", async () => {
    let closed = false;
    const result = await probeHttp((incoming, response) => {
      incoming.socket.once("close", () => (closed = true));
      response.writeHead(200, UPSTREAM);
      const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
      response.once("close", () => clearInterval(timer));
    });
    expect(result).toMatchObject({ ok: true, status: 200 });
    await expect.poll(() => closed, { timeout: 5_000 }).toBe(true);
  });

  it.each(["", "502"])("assigns the fault of an answer by its upstream status %j", async (mark) => {
    const result = await probeHttp((_, response) =>
      response.writeHead(502, { "x-sandbox-upstream-status": mark }).end(),
    );
    expect(result).toMatchObject({ status: 502, ok: false, fault: mark === "" ? "ingress" : "environment" });
  });

  it("blames the environment for an answer that is not HTTP", async () => {
    const result = await probeRaw((socket) => socket.end("garbage\r\n\r\n"));
    expect(result).toMatchObject({ status: null, ok: false, fault: "environment", error: expect.any(String) });
  });

  it("blames Nginx for a connection that is reset or closed without an answer", async () => {
    expect(await probeRaw((socket) => socket.resetAndDestroy())).toMatchObject({ status: null, fault: "ingress" });
    expect(await probeRaw((socket) => socket.once("data", () => socket.end()))).toMatchObject({
      status: null,
      fault: "ingress",
    });
  });

  it("blames the environment for a path that Node refuses", async () => {
    const result = await probeHttp((_, response) => response.end(), { path: "/a b\r\nx: y" });
    expect(result).toMatchObject({ status: null, ok: false, fault: "environment" });
  });

  it("gives the latency in milliseconds with one decimal", async () => {
    const started = performance.now();
    const { latency_ms } = await probeHttp(
      (_, response) => void setTimeout(() => response.writeHead(200, UPSTREAM).end(), 50),
    );
    expect(latency_ms).toBeGreaterThanOrEqual(49);
    expect(latency_ms).toBeLessThanOrEqual(performance.now() - started + 0.1);
    expect(latency_ms).toBe(Math.round(latency_ms * 10) / 10);
  });

  it("runs 256 probes at once under one signal without a warning", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const internalUrl = await listen(createHttpServer((_, response) => response.writeHead(200, UPSTREAM).end()));
    const probe = createEdgeProbe({ internalUrl });
    const { signal } = new AbortController();
    const results = await Promise.all(
      Array.from({ length: 256 }, () => probe.check({ ...TARGET, timeoutMs: 8_000, signal })),
    );
    await new Promise((done) => setImmediate(done));
    process.off("warning", note);
    expect(results.every(({ ok }) => ok)).toBe(true);
    expect(warnings).toEqual([]);
  });
});
