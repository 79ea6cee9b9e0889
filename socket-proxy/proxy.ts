import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { hasJsonBody, refuseBody, type Fields } from "./allowed-bodies.ts";
import { engineUrl, findCall, refuseQuery, type AllowedCall, type ParsedCall } from "./allowed-calls.ts";
import { refuseTargets } from "./allowed-targets.ts";
import { callEngine, openCall, type Answer, type EngineCall } from "./engine-client.ts";
import { inspectTargets, type Targets } from "./inspect-targets.ts";
import type { Platform } from "./ownership.ts";

/** The largest bodies are creates of containers with many environment variables. */
const MAX_BODY_BYTES = 8 * 2 ** 20;

/** The platform starts a command as soon as it is created, and inspects it soon after its end. */
const COMMANDS_REMEMBERED = 1_000;

/** Headers about one connection, which do not pass a proxy. */
const HOP_HEADERS = new Set(["connection", "upgrade", "keep-alive", "te", "trailer", "proxy-connection"]);

type ProxyOptions = Platform & {
  /** The engine's own socket. */
  enginePath: string;
  /** Receives each call that is let through, and each refused one with the reason. */
  onCall?: (call: AllowedCall) => void;
  onRefusal?: (method: string, path: string, reason: string) => void;
};

type Exchange = { incoming: IncomingMessage; response: ServerResponse };

/**
 * A proxy of the Docker engine that lets through the platform's calls about its own objects, and answers 403 to all
 * others, in the engine's own form (`{message}`). Answers pass unchanged; an endless one (logs, events, the output of
 * a command) ends when either side closes.
 */
export function createSocketProxy({ enginePath, onCall, onRefusal, ...platform }: ProxyOptions): Server {
  /** Ids of the commands that were created here: the engine does not say which container a command is for. */
  const commands = new Set<string>();

  function refuse({ incoming, response }: Exchange, reason: string, status = 403): void {
    const path = pathOf(incoming);
    onRefusal?.(incoming.method ?? "", path, reason);
    answer(response, status, `The socket proxy refuses ${incoming.method} ${path}: ${reason}`);
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { incoming, response } = exchange;
    const parsed = findCall(incoming.method ?? "", incoming.url ?? "");
    if (parsed === null) return refuse(exchange, "it is not among the platform's calls");
    const { call } = parsed;
    const body = hasJsonBody(call) ? await readBody(incoming) : {};
    const malformed = refuseQuery(parsed) ?? refuseBody(parsed, body, platform);
    if (malformed !== null) return refuse(exchange, malformed);

    const targets = await inspectTargets(enginePath, parsed, body as Fields);
    if ("absent" in targets) return pass(response, targets.absent);
    const isKnownCommand = call.includes("/exec/{name}") ? commands.has(parsed.name) : undefined;
    const facts = { container: targets.container?.labels, network: targets.network?.labels, isKnownCommand };
    const reason = refuseTargets(parsed, body as Fields, facts, platform);
    const isInspect = call === "GET /containers/{name}/json" || call === "GET /networks/{name}";
    // As if it did not exist: that the name is taken is all the platform needs to know of an object of others.
    if (reason !== null) return refuse(exchange, reason, isInspect ? 404 : 403);
    if (response.closed) return;
    onCall?.(call);
    const inspected = targets.container ?? targets.network;
    if (isInspect && inspected !== undefined) return pass(response, inspected.answer);
    await send(exchange, call, engineCall(parsed, body as Fields, targets));
  }

  async function send(exchange: Exchange, call: AllowedCall, outgoing: EngineCall): Promise<void> {
    if (call !== "POST /containers/{name}/exec") return forward(enginePath, exchange, outgoing);
    const created = await callEngine(enginePath, outgoing);
    if (created.status === 201) remember((JSON.parse(created.text) as { Id: string }).Id);
    pass(exchange.response, created);
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
 * The call as the engine gets it: rebuilt from the checked parts, and about the ids of the inspected objects, since
 * another object can take a name but not an id.
 */
function engineCall(parsed: ParsedCall, body: Fields, { container, network }: Targets): EngineCall {
  const [method = ""] = parsed.call.split(" ");
  const path = engineUrl(parsed, (parsed.call.includes("/networks/") ? network : container)?.id);
  if (parsed.call === "PUT /containers/{name}/archive") return { method, path, body: "archive" };
  if (!hasJsonBody(parsed.call)) return { method, path, body: null };
  const namesIt = container !== undefined && "Container" in body;
  return { method, path, body: JSON.stringify(namesIt ? { ...body, Container: container.id } : body) };
}

function forward(enginePath: string, { incoming, response }: Exchange, call: EngineCall): void {
  const outgoing = openCall(enginePath, call, (answered) => {
    const kept = Object.entries(answered.headers).filter(([name]) => !HOP_HEADERS.has(name));
    response.writeHead(answered.statusCode ?? 502, Object.fromEntries(kept));
    // At once: a client that follows a log must see the connection before the first line.
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

/** The request's JSON body; undefined, which `refuseBody` refuses, when it is too large or not JSON. */
async function readBody(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // The rest is read and dropped, so that the client gets the refusal.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}
