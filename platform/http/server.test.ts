import type { RequestListener, Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import express from "express";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../test/support/wait-until.ts";
import { streamEvents } from "./streams/event-stream.ts";
import { startServer, stopServer } from "./server.ts";

const QUICK = { headersMs: 200, requestMs: 400, stallMs: 300, checkMs: 50 };
/** Only who does not take is hurried: a machine under load may be slow to send. */
const PATIENT = { ...QUICK, headersMs: 10_000, requestMs: 10_000 };
/** More than the kernel holds for both sides of a connection on loopback. */
const LARGE = 32 * 2 ** 20;

/** A server with short limits, gone when the test ends. */
async function serve(app: RequestListener, limits = PATIENT): Promise<Server> {
  const server = await startServer(app, "127.0.0.1", 0, limits);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** A connection that sends `text`; what comes back is collected unless it is not read at all. */
function dial(
  server: Server,
  text: string,
  { reads = true } = {},
): { socket: Socket; received: () => string; closed: () => boolean } {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  let received = "";
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => (closed = true));
  if (reads) socket.setEncoding("utf8").on("data", (chunk: string) => (received += chunk));
  else socket.pause();
  socket.write(text);
  onTestFinished(() => void socket.destroy());
  return { socket, received: () => received, closed: () => closed };
}

function problemIn(answer: string): Record<string, unknown> {
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Record<string, unknown>;
}

/** As on every answer of the app (browsers.test.ts). */
function expectStrictHeaders(answer: string): void {
  const head = answer.slice(0, answer.indexOf("\r\n\r\n")).toLowerCase().split("\r\n");
  const headers = Object.fromEntries(head.slice(1).map((line) => line.split(/: (.*)/, 2)));
  expect(headers).toMatchObject({
    "content-security-policy": expect.stringContaining("default-src 'none'"),
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-request-id": problemIn(answer)["request_id"],
  });
}

const connections = (server: Server) => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
const echo = express()
  .use(express.json())
  .post("/", (request, response) => void response.json(request.body));

test.each([
  ["headers", "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "],
  ["a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"],
])("a client that does not finish sending %s is answered 408 and let go", async (_, text) => {
  const { received, closed } = dial(await serve(echo, QUICK), text);
  await waitUntil("the end", closed, 5_000, 20);
  expect(received()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(problemIn(received())).toMatchObject({ status: 408, code: "request_timeout" });
  expectStrictHeaders(received());
});

test.each([
  ["what is not HTTP", "\0\x01\x02 nonsense\r\n\r\n"],
  ["a request without a Host", "GET / HTTP/1.1\r\n\r\n"],
  ["a request of a proxy", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n"],
])("%s is answered with a problem document", async (_, text) => {
  const { received, closed } = dial(await serve(echo), text);
  await waitUntil("the end", closed, 5_000, 20);
  expect(received()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(problemIn(received())).toMatchObject({ status: 400, code: "invalid_request" });
  expectStrictHeaders(received());
});

test("nothing is written into an answer that has begun", async () => {
  const server = await serve((_, response) => void response.writeHead(200).write("begun"));
  const { socket, received, closed } = dial(server, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  await waitUntil("the answer's beginning", () => received().includes("begun"), 5_000, 20);
  socket.write("not a chunk\r\n");
  await waitUntil("the end", closed, 5_000, 20);
  expect(received()).not.toContain("HTTP/1.1 400");
});

test("a client that does not take its answer is dropped, others are served meanwhile", async () => {
  const server = await serve((request, response) => response.end(request.url === "/" ? "x".repeat(LARGE) : "small"));
  dial(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", { reads: false });
  const quick = dial(server, "GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await waitUntil("the quick one", quick.closed, 5_000, 20);
  expect(quick.received()).toContain("small");
  await waitUntil("the stalled one to be dropped", async () => (await connections(server)) === 0, 10_000, 50);
});

test("a slow client that goes on reading gets everything, however long it takes", async () => {
  const server = await serve((_, response) => response.end("x".repeat(LARGE)));
  const { socket, received, closed } = dial(server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  // Eight breaths of half the limit each: four times the limit in all.
  let next = LARGE / 8;
  socket.on("data", () => {
    if (received().length < next) return;
    next += LARGE / 8;
    socket.pause();
    setTimeout(() => socket.resume(), QUICK.stallMs / 2);
  });
  await waitUntil("the end", closed, 9_000, 20);
  expect(received().length).toBeGreaterThan(LARGE);
});

test("a stalled reader of an event stream costs a bounded amount and is dropped after its limit", async () => {
  const data = "x".repeat(10_000);
  let taken = 0;
  async function* flood(): AsyncGenerator<{ data: string }> {
    for (;;) {
      taken++;
      yield { data };
    }
  }
  const app = express().get("/", (_, response) =>
    streamEvents(response, new AbortController().signal, () => flood(), { stallLimitMs: QUICK.stallMs }),
  );
  const server = await serve(app);
  dial(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", { reads: false });
  await waitUntil("the stream to be dropped", async () => taken > 0 && (await connections(server)) === 0, 10_000, 50);
  // The kernel's buffers on both sides, a few megabytes on loopback, and one chunk of ours.
  expect(taken * data.length).toBeLessThan(20 * 2 ** 20);
});

test("stopping does not wait for a stalled reader of a stream", async () => {
  const stopping = new AbortController();
  let taken = 0;
  async function* flood(): AsyncGenerator<{ data: string }> {
    for (;;) {
      taken++;
      yield { data: "x".repeat(10_000) };
    }
  }
  const app = express().get("/", (_, response) => streamEvents(response, stopping.signal, () => flood()));
  const server = await startServer(app, "127.0.0.1", 0);
  dial(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", { reads: false });
  let last = -1;
  await waitUntil("the stream to stall", () => (taken > 0 && taken === last) || ((last = taken), false), 10_000, 100);
  stopping.abort();
  const started = performance.now();
  await stopServer(server);
  expect(performance.now() - started).toBeLessThan(5_000);
});
