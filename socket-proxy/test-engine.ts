import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createSocketProxy } from "./proxy.ts";
import { temporaryFolder } from "../platform/test/support/temporary-folder.ts";

type Seen = { method: string; url: string; headers: IncomingMessage["headers"]; body: string };

export const OURS = { "sandbox.platform": "sandbox" };
export const APP = { ...OURS, "sandbox.env": "env-x", "sandbox.role": "app" };
export const HELPER = { ...OURS, "sandbox.role": "helper" };
const CONTAINERS: Record<string, object> = {
  "sandbox-env-x-app": APP,
  "sandbox-helper-1": HELPER,
  "sandbox-nginx": { ...OURS, "sandbox.role": "nginx" },
  "sandbox-api": { ...OURS, "sandbox.role": "api" },
  "sandbox-socket-proxy": { ...OURS, "sandbox.role": "socket-proxy" },
  "sandbox-firewall": { ...OURS, "sandbox.role": "firewall" },
  "without-a-role": { ...OURS, "sandbox.env": "env-x" },
  "another-platforms": { ...APP, "sandbox.platform": "sandbox-2" },
  database: {},
};
export const NETWORKS: Record<string, object> = {
  "sandbox-env-x": { ...OURS, "sandbox.env": "env-x", "sandbox.role": "network" },
  "sandbox-net-10-172-0-0-28": { ...OURS, "sandbox.role": "network" },
  sandbox: OURS,
  databases: {},
};
/** The id that the test engine gives to the object of a name. */
export const idOf = (name: string): string => Buffer.from(name).toString("hex").padEnd(64, "0").slice(0, 64);

/** The answer of an engine with those objects when it inspects one; null for another. */
function describeObject(url: string): string | null {
  const [, kind = "", name = ""] = /^(?:\/v1\.41)?\/(containers|networks)\/([^/]+)(?:\/json)?$/.exec(url) ?? [];
  const labels = (kind === "containers" ? CONTAINERS : NETWORKS)[name];
  if (labels === undefined) return null;
  const described = kind === "containers" ? { Config: { Labels: labels, Env: ["A=b"] } } : { Labels: labels };
  return JSON.stringify({ Id: idOf(name), Name: name, ...described });
}

/**
 * Starts an engine with the objects above and the proxy in front. `seen` are the calls that reached the engine, without
 * inspections of an object; it answers them by `reply`, or with "engine", and creates a command with the id "prepared".
 */
export async function startProxy(reply?: (response: ServerResponse) => void) {
  const folder = await temporaryFolder();
  const [enginePath, path] = [join(folder, "engine.sock"), join(folder, "proxy.sock")];
  const seen: Seen[] = [];
  const engine = createServer((incoming, response) => {
    let body = "";
    incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
    incoming.on("end", () => {
      const { method = "", url = "", headers } = incoming;
      const isLook = method === "GET" && /^(?:\/v1\.41)?\/(?:containers\/[^/]+\/json|networks\/[^/]+)$/.test(url);
      if (isLook) {
        const described = describeObject(url);
        return void response.writeHead(described === null ? 404 : 200).end(described ?? '{"message":"No such object"}');
      }
      seen.push({ method, url, headers, body });
      if (url.endsWith("/exec")) response.writeHead(201).end('{"Id":"prepared"}');
      else if (reply === undefined) response.end("engine");
      else reply(response);
    });
  });
  const refusals: string[] = [];
  const proxy = createSocketProxy({
    enginePath,
    instance: "sandbox",
    subnetPool: "10.172.0.0/16",
    onRefusal: (...refusal) => refusals.push(refusal.join(" ")),
  });
  await Promise.all([listen(engine, enginePath), listen(proxy, path)]);
  return { path, seen, engine, refusals };
}

async function listen(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

export function open(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  headers = {},
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request({ socketPath, method, path: withVersion(path), headers, agent: false }, resolve);
  outgoing.on("error", reject);
  outgoing.end(typeof body === "object" ? JSON.stringify(body) : body);
  return promise;
}

export const withVersion = (path: string): string => (path.startsWith("/v1.") ? path : `/v1.41${path}`);

export async function ask(...args: Parameters<typeof open>): Promise<{ status: number; text: string }> {
  const response = await open(...args);
  let text = "";
  for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
  return { status: response.statusCode ?? 0, text };
}

/** The body with which the platform creates a command. */
export const command = (...words: string[]) => ({ Cmd: words, User: "0", AttachStdout: true, AttachStderr: true });
/** The call that creates an app's container. */
export const CREATE = "/containers/create?name=sandbox-env-x-app";
/** The call that lists the platform's containers. */
export const LIST = `/containers/json?all=true&filters=${encodeURIComponent('{"label":["sandbox.platform=sandbox"]}')}`;
