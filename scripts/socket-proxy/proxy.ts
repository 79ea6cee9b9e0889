import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { hasCheckedBody, refuseBody } from "./allowed-bodies.ts";
import { findCall, type AllowedCall } from "./allowed-calls.ts";

/** Environment variables make up most of the largest body there is. */
const MAX_BODY_BYTES = 8 * 2 ** 20;

/** They speak of one connection, and Upgrade of turning it into raw bytes that nobody could look at. */
const HOP_HEADERS = new Set(["connection", "upgrade", "keep-alive", "te", "trailer", "proxy-connection"]);

export type ProxyOptions = {
  /** The engine's own socket. */
  enginePath: string;
  /** Told of each call let through, and of each refused one with the reason. */
  onCall?: (call: AllowedCall) => void;
  onRefusal?: (method: string, path: string, reason: string) => void;
};

/**
 * A way to the Docker engine that lets through what the platform needs and answers 403 to the rest, in the
 * engine's own form (`{message}`). Bodies and streams pass as they are, both ways; an answer that the engine
 * does not end (logs, events, the output of a command) ends when either side goes.
 */
export function createSocketProxy({ enginePath, onCall, onRefusal }: ProxyOptions): Server {
  const refuse = ({ method = "", url = "" }: IncomingMessage, response: ServerResponse, reason: string): void => {
    onRefusal?.(method, url.split("?", 1)[0] ?? "", reason);
    answer(response, 403, `The socket proxy lets ${method} ${url.split("?", 1)[0]} not through: ${reason}`);
  };

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = findCall(incoming.method ?? "", incoming.url ?? "");
    if (call === null) return refuse(incoming, response, "it is not among the platform's calls");
    if (!hasCheckedBody(call)) {
      onCall?.(call);
      return forward(enginePath, incoming, response, null);
    }
    const body = parse(await readBody(incoming));
    const reason = refuseBody(call, body);
    if (reason !== null) return refuse(incoming, response, reason);
    onCall?.(call);
    // Written anew: what was looked at is what goes on.
    forward(enginePath, incoming, response, JSON.stringify(body));
  }

  return createServer({ requestTimeout: 0 }, (incoming, response) => {
    handle(incoming, response).catch((error: unknown) => answer(response, 400, String(error)));
  });
}

function forward(enginePath: string, incoming: IncomingMessage, response: ServerResponse, body: string | null): void {
  const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !HOP_HEADERS.has(name)));
  if (body !== null) {
    delete headers["transfer-encoding"];
    headers["content-length"] = String(Buffer.byteLength(body));
  }
  const { method, url } = incoming;
  const outgoing = request({ socketPath: enginePath, method, path: url, headers, agent: false }, (answered) => {
    const kept = Object.entries(answered.headers).filter(([name]) => !HOP_HEADERS.has(name));
    response.writeHead(answered.statusCode ?? 502, Object.fromEntries(kept));
    // At once: a follower must learn that it is connected before the first line comes.
    response.flushHeaders();
    pipeline(answered, response, () => undefined);
  });
  outgoing.on("error", (error) => answer(response, 502, `The engine does not answer: ${error.message}`));
  response.on("close", () => outgoing.destroy());
  if (body === null) pipeline(incoming, outgoing, () => undefined);
  else outgoing.end(body);
}

function answer(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ message }));
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`the body is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** undefined where it is not JSON, which is refused as anything that is not an object. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
