import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

/** A whole short answer of the engine. */
export type Answer = { status: number; text: string };

/** A call of the engine: with a JSON body, with an archive that the caller writes later, or with none. */
export type EngineCall = { method: string; path: string; body: string | "archive" | null };

/**
 * Opens a call with headers of its own and none of the client's: under another content type the engine would read the
 * body as parameters, and after an upgrade the connection would carry raw bytes that the proxy cannot check.
 */
export function openCall(
  socketPath: string,
  { method, path, body }: EngineCall,
  onAnswer: (answer: IncomingMessage) => void,
): ClientRequest {
  const headers = { host: "docker", ...bodyHeaders(body) };
  const outgoing = request({ socketPath, method, path, headers, agent: false }, onAnswer);
  if (body !== "archive") outgoing.end(body ?? undefined);
  return outgoing;
}

/** Makes a call and reads its whole answer; rejects when the engine does not answer. */
export function callEngine(socketPath: string, call: EngineCall): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const outgoing = openCall(socketPath, call, (answer) => {
    text(answer).then((body) => resolve({ status: answer.statusCode ?? 502, text: body }), reject);
  });
  outgoing.on("error", reject);
  return promise;
}

function bodyHeaders(body: EngineCall["body"]): Record<string, string> {
  if (body === null) return { "content-length": "0" };
  if (body === "archive") return { "content-type": "application/x-tar" };
  return { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
}
