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
  /** Without taking any of a finished answer; what is streamed has a limit of its own. */
  stallMs: number;
  /** Between two looks at who is late. */
  checkMs: number;
};

const LIMITS: ClientLimits = { headersMs: 15_000, requestMs: 60_000, stallMs: 60_000, checkMs: 5_000 };

/** How long a connection stays after a request was refused that could not be read. */
const LINGER_MS = 1_000;

/** How long answers under way are waited for when the server stops, in milliseconds. */
const STOP_LIMIT_MS = 25_000;

/** Connections that wait for no answer: idle ones, and those whose request has not arrived. */
const unanswered = new WeakMap<Server, Set<Duplex>>();

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
  const answering = new WeakMap<Duplex, ServerResponse>();
  const silent = new Set<Duplex>();
  unanswered.set(server, silent);
  server.on("connection", (socket) => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
  });
  server.on("request", (request, response) => {
    const { socket } = request;
    answering.set(socket, response);
    silent.delete(socket);
    response.once("close", () => {
      if (!server.listening) socket.end();
      else if (!socket.destroyed) silent.add(socket);
    });
    // An answer is in memory until it is taken.
    response.once("prefinish", () => response.setTimeout(limits.stallMs, () => response.destroy()));
  });
  const answer: RequestListener = (request, response) => {
    if (request.headers.host === undefined) refuse(request.socket, malformed("it names no Host"));
    else app(request, response);
  };
  server.on("request", answer); // after the above, which an answer given at once would escape
  server.on("checkExpectation", answer); // an expectation may be ignored; Node would answer 417 with nothing
  server.on("connect", (_request, socket) => refuse(socket, malformed("this server is no proxy")));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const response = answering.get(socket);
    const isHalfAnswered = response?.headersSent === true && !response.writableFinished;
    if (socket.writableEnded) return; // what follows a request that was refused
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
 * Takes no more connections, drops those that ask nothing or have not finished asking, and waits for the
 * answers under way, at most 25 s.
 */
export async function stopServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of unanswered.get(server) ?? []) socket.destroy();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_LIMIT_MS);
  await closed;
  clearTimeout(timer);
}

/** Answers without the app, and lets go a moment later: at once, what is still arriving could cost the client the answer. */
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
