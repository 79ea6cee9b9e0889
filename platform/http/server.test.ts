import type { RequestListener, Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import express from "express";
import { expect, onTestFinished, test } from "vitest";
import { expectContract } from "../test/support/expect-contract.ts";
import { parseAnswers } from "../test/support/raw-http.ts";
import { waitUntil } from "../test/support/wait-until.ts";
import { streamEvents } from "./streams/event-stream.ts";
import { startServer, stopServer } from "./server.ts";

const QUICK = { headersMs: 200, requestMs: 400, stallMs: 300, checkMs: 50 };
/** Only a stalled reader is dropped soon: a machine under load may be slow to send. */
const PATIENT = { ...QUICK, headersMs: 10_000, requestMs: 10_000 };
/** More than the kernel buffers for both sides of a connection on loopback. */
const LARGE = 32 * 2 ** 20;
const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** A server with short limits, gone when the test ends. */
async function serve(app: RequestListener, limits = PATIENT): Promise<Server> {
  const server = await startServer(app, "127.0.0.1", 0, limits);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** A connection that sends `text` and collects the answer, unless it is not to read at all. */
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

/** An endless event stream that counts the bytes it has given. */
function flood() {
  const data = "x".repeat(10_000);
  const given = { bytes: 0 };
  async function* source(): AsyncGenerator<{ data: string }> {
    for (;;) {
      given.bytes += data.length;
      yield { data };
    }
  }
  return { source, given };
}

const connections = (server: Server) => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
const echo = express()
  .use(express.json())
  .post("/", (request, response) => void response.json(request.body));

test.each([
  ["with headers that do not end", 408, "request_timeout", "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "],
  [
    "with a body that does not end",
    408,
    "request_timeout",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  ],
  ["that is not HTTP", 400, "invalid_request", "\0\x01\x02 nonsense\r\n\r\n"],
  ["without a Host", 400, "invalid_request", "GET / HTTP/1.1\r\n\r\n"],
  ["to a proxy", 400, "invalid_request", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n"],
])("a request %s is answered %i %s, and its connection is closed", async (_, status, code, text) => {
  const { received, closed } = dial(await serve(echo, status === 408 ? QUICK : PATIENT), text);
  await waitUntil("the end", closed, 5_000, 20);
  const [answer, ...more] = parseAnswers(received());
  expect(more).toEqual([]);
  expect(answer?.status).toBe(status);
  expect(JSON.parse(answer?.body ?? "")).toMatchObject({ status, code });
  if (answer !== undefined) expectContract(answer, false);
});

test("a malformed rest of a request adds nothing to an answer that has begun", async () => {
  const server = await serve((_, response) => void response.writeHead(200).write("begun"));
  const { socket, received, closed } = dial(server, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  await waitUntil("the answer's beginning", () => received().includes("begun"), 5_000, 20);
  socket.write("not a chunk\r\n");
  await waitUntil("the end", closed, 5_000, 20);
  expect(received()).not.toContain("HTTP/1.1 400");
});

test("a client that does not read its answer is dropped, and others are served meanwhile", async () => {
  const server = await serve((request, response) => response.end(request.url === "/" ? "x".repeat(LARGE) : "small"));
  dial(server, GET, { reads: false });
  const quick = dial(server, "GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await waitUntil("the quick one", quick.closed, 5_000, 20);
  expect(quick.received()).toContain("small");
  await waitUntil("the stalled one to be dropped", async () => (await connections(server)) === 0, 10_000, 50);
});

test("a client that reads slowly gets its whole answer, though it takes longer than the limit", async () => {
  const stallMs = 1_000;
  const server = await serve((_, response) => response.end("x".repeat(LARGE)), { ...PATIENT, stallMs });
  const { socket, received, closed } = dial(server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  // Eight pauses of a quarter of the limit each: twice the limit in all.
  let next = LARGE / 8;
  socket.on("data", () => {
    if (received().length < next) return;
    next += LARGE / 8;
    socket.pause();
    setTimeout(() => socket.resume(), stallMs / 4);
  });
  await waitUntil("the end", closed, 9_000, 20);
  expect(received().length).toBeGreaterThan(LARGE);
});

test("a stalled reader of an event stream costs bounded memory and is dropped after its limit", async () => {
  const { source, given } = flood();
  const app = express().get("/", (_, response) =>
    streamEvents(response, new AbortController().signal, source, { stallLimitMs: QUICK.stallMs }),
  );
  const server = await serve(app);
  dial(server, GET, { reads: false });
  await waitUntil("its end", async () => given.bytes > 0 && (await connections(server)) === 0, 10_000, 50);
  // The kernel's buffers on both sides, a few megabytes on loopback, and one chunk of ours.
  expect(given.bytes).toBeLessThan(20 * 2 ** 20);
});

test("stopping drops a stalled reader of a stream and does not wait for its limit", async () => {
  const stopping = new AbortController();
  const { source, given } = flood();
  const app = express().get("/", (_, response) => streamEvents(response, stopping.signal, source));
  const server = await startServer(app, "127.0.0.1", 0);
  dial(server, GET, { reads: false });
  let last = -1;
  const isStalled = () => (given.bytes > 0 && given.bytes === last) || ((last = given.bytes), false);
  await waitUntil("the stream to stall", isStalled, 10_000, 100);
  stopping.abort();
  await waitUntil("its end", async () => (await connections(server)) === 0, 5_000, 20);
  await stopServer(server);
});
