import { randomUUID } from "node:crypto";
import { createServer, STATUS_CODES, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { PlatformError } from "../kernel/errors.ts";
import { toProblem } from "./problem.ts";
import { rawSecurityHeaders } from "./middleware/security-headers.ts";

/** How long a client may take, in milliseconds. */
export type ClientLimits = {
  /** To send all headers, and the whole request. */
  headersMs: number;
  requestMs: number;
  /** To read some more of a finished answer; streams have a limit of their own (streams/event-stream.ts). */
  stallMs: number;
  /** Between two checks for late clients. */
  checkMs: number;
};

const LIMITS: ClientLimits = { headersMs: 15_000, requestMs: 60_000, stallMs: 60_000, checkMs: 5_000 };

/** How long a connection stays open after an unreadable request was refused. */
const LINGER_MS = 1_000;

/** How long a stopping server waits for answers under way. */
const STOP_LIMIT_MS = 25_000;

/** The open connections of a server, each with the answer that it waits for; null: idle, or its request is incomplete. */
const connectionsOf = new WeakMap<Server, Map<Duplex, ServerResponse | null>>();

/** A listening HTTP server for the app; rejects when the address cannot be taken. */
export async function startServer(
  app: RequestListener,
  host: string,
  port: number,
  limits: ClientLimits = LIMITS,
): Promise<Server> {
  const server = createServer({
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    requireHostHeader: false, // Node would refuse with an empty answer; the handler below does it properly
  });
  const connections = new Map<Duplex, ServerResponse | null>();
  connectionsOf.set(server, connections);
  server.on("connection", (socket) => {
    connections.set(socket, null);
    socket.once("close", () => connections.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    connections.set(socket, response);
    response.once("close", () => {
      if (!server.listening) socket.end();
      else if (connections.has(socket)) connections.set(socket, null);
    });
    // An answer stays in memory until its client has read it.
    response.once("prefinish", () => response.setTimeout(limits.stallMs, () => response.destroy()));
  });
  const answer: RequestListener = (request, response) => {
    if (request.headers.host === undefined) refuse(request.socket, malformed("it names no Host"));
    else app(request, response);
  };
  server.on("request", answer); // after the handler above, which must see the answer begin
  server.on("checkExpectation", answer); // an expectation may be ignored; Node would answer 417 with nothing
  server.on("connect", (_request, socket) => refuse(socket, malformed("this server is no proxy")));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const response = connections.get(socket) ?? null;
    const isHalfAnswered = response !== null && response.headersSent && !response.writableFinished;
    if (socket.writableEnded) return; // the request was refused already
    if (error.code === "ECONNRESET" || !socket.writable || isHalfAnswered) socket.destroy();
    else refuse(socket, problemOf(error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/**
 * Accepts no more connections, drops idle ones and those with an incomplete request, and waits for the answers under
 * way, at most 25 s.
 */
export async function stopServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const [socket, response] of connectionsOf.get(server) ?? []) if (response === null) socket.destroy();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_LIMIT_MS);
  await closed;
  clearTimeout(timer);
}

/** Answers without the app and closes a second later: a close while bytes arrive could cost the client the answer. */
function refuse(socket: Duplex, error: PlatformError): void {
  socket.end(rawProblem(error));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

function malformed(reason: string, cause?: unknown): PlatformError {
  return new PlatformError("invalid_request", `Cannot read the request: ${reason}.`, { cause });
}

function problemOf(error: NodeJS.ErrnoException): PlatformError {
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    const detail = "Cannot read the request: it took too long to arrive. Send it again, in one go.";
    return new PlatformError("request_timeout", detail, { cause: error });
  }
  return malformed("it is not well-formed HTTP", error);
}

/** A whole answer for a request that never became one. */
function rawProblem(error: PlatformError): string {
  const requestId = randomUUID();
  const body = JSON.stringify(toProblem(error, requestId));
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    `X-Request-Id: ${requestId}`,
    ...rawSecurityHeaders(),
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}
