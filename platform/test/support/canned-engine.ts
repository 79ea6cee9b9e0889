import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createDockerEngine } from "../../workloads/docker/docker-engine.ts";
import type { Engine } from "../../workloads/docker/engine.ts";

/**
 * What the real engine does not do on demand: hang, break off, announce other versions, fail half-way
 * through a pull. A socket that answers one request in a canned way is enough for it.
 */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;
type Asked = { method: string; url: string; body: string };

export const VERSION = { Version: "20.10.24", ApiVersion: "1.41", MinAPIVersion: "1.12" };

const RANDOM_ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** Milliseconds that a call may take where a test does not say: long, as the machine may be busy. */
const TIMEOUT_MS = 8_000;

/** A socket that answers `routes` by "METHOD /path" without API version and query, `*` for a random id in it, and an engine on it. */
export async function serve(
  routes: Record<string, Answer>,
  { version = VERSION, timeoutMs = TIMEOUT_MS }: { version?: object; timeoutMs?: number } = {},
): Promise<{ engine: Engine; asked: Asked[]; socketPath: string }> {
  const folder = await mkdtemp(join(tmpdir(), "sandbox-engine-"));
  const socketPath = join(folder, "docker.sock");
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const url = request.url ?? "";
    const [path = ""] = url.replace(/^\/v[\d.]+/, "").split("?");
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    asked.push({ method: request.method ?? "", url, body: Buffer.concat(chunks).toString() });
    const known = routes[`${request.method} ${path}`] ?? routes[`${request.method} ${path.replace(RANDOM_ID, "*")}`];
    const answer = known ?? (path === "/version" ? json(200, version) : undefined);
    if (answer === undefined) return json(404, { message: `page not found: ${path}` })(request, response);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { engine: createDockerEngine({ socketPath, instance: "sandbox", timeoutMs }), asked, socketPath };
}

export function json(status: number, body: unknown): Answer {
  return (_request, response) =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** A pull's progress, a message a line. */
export function progress(...messages: object[]): Answer {
  const lines = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
  return (_request, response) => void response.writeHead(200).end(lines);
}
