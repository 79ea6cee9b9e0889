import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

/** A short answer of the engine's, whole. */
export type Answer = { status: number; text: string };

/** A call of the engine: with a body of JSON, with an archive that is yet to be written, or with none. */
export type EngineCall = { method: string; path: string; body: string | "archive" | null };

/**
 * Opens a call, with headers of our own and none of the caller's: under another type the engine would read a
 * body as parameters, and an upgrade would make raw bytes of a connection that nobody could look at.
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

/** Makes a call and reads its whole answer; rejects where the engine does not give one. */
export function askEngine(socketPath: string, call: EngineCall): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const outgoing = openCall(socketPath, call, (answer) => {
    text(answer).then((said) => resolve({ status: answer.statusCode ?? 502, text: said }), reject);
  });
  outgoing.on("error", reject);
  return promise;
}

function bodyHeaders(body: EngineCall["body"]): Record<string, string> {
  if (body === null) return { "content-length": "0" };
  if (body === "archive") return { "content-type": "application/x-tar" };
  return { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
}
