import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { hasJsonBody, refuseBody, type Fields } from "./allowed-bodies.ts";
import { engineUrl, findCall, refuseQuery, type AllowedCall, type Asked } from "./allowed-calls.ts";
import { askEngine, openCall, type Answer, type EngineCall } from "./ask-engine.ts";
import { decide } from "./decide.ts";
import { lookUp, type Found } from "./look-up.ts";
import type { Owner } from "./ownership.ts";

/** Environment variables make up most of the largest body there is. */
const MAX_BODY_BYTES = 8 * 2 ** 20;

/** A command is started as soon as it is prepared, and asked for its end soon after that. */
const COMMANDS_REMEMBERED = 1_000;

/** They speak of one connection. */
const HOP_HEADERS = new Set(["connection", "upgrade", "keep-alive", "te", "trailer", "proxy-connection"]);

export type ProxyOptions = Owner & {
  /** The engine's own socket. */
  enginePath: string;
  /** Told of each call let through, and of each refused one with the reason. */
  onCall?: (call: AllowedCall) => void;
  onRefusal?: (method: string, path: string, reason: string) => void;
};

type Exchange = { incoming: IncomingMessage; response: ServerResponse };

/**
 * A way to the Docker engine that lets through what the platform needs, for the objects that are its own, and
 * answers 403 to the rest, in the engine's own form (`{message}`). Answers pass as they are; one that the engine
 * does not end (logs, events, the output of a command) ends when either side goes.
 */
export function createSocketProxy({ enginePath, onCall, onRefusal, ...owner }: ProxyOptions): Server {
  /** Ids of the commands that were prepared here; the engine does not tell whose a command is. */
  const commands = new Set<string>();

  function refuse({ incoming, response }: Exchange, reason: string, status = 403): void {
    const path = pathOf(incoming);
    onRefusal?.(incoming.method ?? "", path, reason);
    answer(response, status, `The socket proxy lets ${incoming.method} ${path} not through: ${reason}`);
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { incoming, response } = exchange;
    const asked = findCall(incoming.method ?? "", incoming.url ?? "");
    if (asked === null) return refuse(exchange, "it is not among the platform's calls");
    const { call } = asked;
    const body = hasJsonBody(call) ? await readBody(incoming) : {};
    const malformed = refuseQuery(asked) ?? refuseBody(asked, body, owner);
    if (malformed !== null) return refuse(exchange, malformed);

    const found = await lookUp(enginePath, asked, body as Fields);
    if ("absent" in found) return pass(response, found.absent);
    const isKnownCommand = call.includes("/exec/{name}") ? commands.has(asked.name) : undefined;
    const facts = { container: found.container?.labels, network: found.network?.labels, isKnownCommand };
    const reason = decide(asked, body as Fields, facts, owner);
    const isLook = call === "GET /containers/{name}/json" || call === "GET /networks/{name}";
    // As if it were not there: what the platform does not own is in its way, but none of its business.
    if (reason !== null) return refuse(exchange, reason, isLook ? 404 : 403);
    if (response.closed) return;
    onCall?.(call);
    const looked = found.container ?? found.network;
    if (isLook && looked !== undefined) return pass(response, looked.answer);
    await send(exchange, asked, engineCall(asked, body as Fields, found));
  }

  async function send(exchange: Exchange, { call }: Asked, outgoing: EngineCall): Promise<void> {
    if (call !== "POST /containers/{name}/exec") return forward(enginePath, exchange, outgoing);
    const prepared = await askEngine(enginePath, outgoing);
    if (prepared.status === 201) remember((JSON.parse(prepared.text) as { Id: string }).Id);
    pass(exchange.response, prepared);
  }

  function remember(id: string): void {
    commands.add(id);
    const [oldest] = commands;
    if (commands.size > COMMANDS_REMEMBERED && oldest !== undefined) commands.delete(oldest);
  }

  return createServer({ requestTimeout: 0 }, (incoming, response) => {
    handle({ incoming, response }).catch((error: unknown) => fail(response, error));
  });
}

/**
 * The call as it goes on. Written anew: what was looked at is what is asked, and of the very objects, since a
 * name can change hands and an id cannot.
 */
function engineCall(asked: Asked, body: Fields, { container, network }: Found): EngineCall {
  const [method = ""] = asked.call.split(" ");
  const path = engineUrl(asked, (asked.call.includes("/networks/") ? network : container)?.id);
  if (asked.call === "PUT /containers/{name}/archive") return { method, path, body: "archive" };
  if (!hasJsonBody(asked.call)) return { method, path, body: null };
  const namesIt = container !== undefined && "Container" in body;
  return { method, path, body: JSON.stringify(namesIt ? { ...body, Container: container.id } : body) };
}

function forward(enginePath: string, { incoming, response }: Exchange, call: EngineCall): void {
  const outgoing = openCall(enginePath, call, (answered) => {
    const kept = Object.entries(answered.headers).filter(([name]) => !HOP_HEADERS.has(name));
    response.writeHead(answered.statusCode ?? 502, Object.fromEntries(kept));
    // At once: a follower must learn that it is connected before the first line comes.
    response.flushHeaders();
    pipeline(answered, response, () => undefined);
  });
  outgoing.on("error", (error) => fail(response, error));
  response.on("close", () => outgoing.destroy());
  if (call.body === "archive") pipeline(incoming, outgoing, () => undefined);
}

function pass(response: ServerResponse, { status, text }: Answer): void {
  response.writeHead(status, { "content-type": "application/json" }).end(text);
}

function fail(response: ServerResponse, error: unknown): void {
  answer(response, 502, `The engine does not answer: ${error instanceof Error ? error.message : String(error)}`);
}

function answer(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) return void response.destroy();
  pass(response, { status, text: JSON.stringify({ message }) });
}

function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

/** What a request says in JSON; undefined, which nobody lets through, where it says nothing of the kind or too much. */
async function readBody(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // The rest is read and dropped, so that the refusal arrives.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}
