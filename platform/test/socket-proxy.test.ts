import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createSocketProxy } from "../../scripts/socket-proxy/proxy.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";
import { waitUntil } from "./support/wait-until.ts";

type Seen = { method: string; url: string; headers: IncomingMessage["headers"]; body: string };

/** An engine that answers "engine", or what `reply` does, and the proxy before it. */
async function startProxy(reply?: Parameters<typeof createServer>[1]) {
  const folder = await temporaryFolder();
  const [enginePath, path] = [join(folder, "engine.sock"), join(folder, "proxy.sock")];
  const seen: Seen[] = [];
  const engine = createServer((incoming, response) => {
    let body = "";
    incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
    incoming.on("end", () => {
      seen.push({ method: incoming.method ?? "", url: incoming.url ?? "", headers: incoming.headers, body });
      if (reply === undefined) response.end("engine");
      else reply(incoming, response as never);
    });
  });
  const proxy = createSocketProxy({ enginePath });
  await Promise.all([listen(engine, enginePath), listen(proxy, path)]);
  return { path, seen, engine };
}

async function listen(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

function open(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  headers = {},
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request({ socketPath, method, path, headers, agent: false }, resolve);
  outgoing.on("error", reject);
  outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

async function ask(...args: Parameters<typeof open>): Promise<{ status: number; text: string }> {
  const response = await open(...args);
  let text = "";
  for await (const chunk of response as AsyncIterable<Buffer>) text += chunk.toString();
  return { status: response.statusCode ?? 0, text };
}

const container = (host: object = {}, more: object = {}) => ({
  Image: "demo",
  HostConfig: { NetworkMode: "sandbox-env-x", ...host },
  ...more,
});
const network = (more: object = {}) => ({ Name: "n", Driver: "bridge", Options: {}, ...more });
const CREATE = "/v1.41/containers/create";

describe("the socket proxy lets through", () => {
  test.each([
    ["GET", "/version"],
    ["GET", "/v1.41/containers/json?all=true"],
    ["DELETE", "/v1.47/containers/sandbox-env-x-app?force=true&v=true"],
    ["GET", "/v1.41/images/registry.example:5000/team/app:1.2@sha256:0af/json"],
    ["POST", "/v1.41/networks/sandbox-env-x/disconnect"],
  ])("%s %s, as it is", async (method, path) => {
    const { path: proxy, seen } = await startProxy();
    expect(await ask(proxy, method, path)).toEqual({ status: 200, text: "engine" });
    expect(seen).toMatchObject([{ method, url: path }]);
  });

  test("a container with its limits, whose body arrives whole", async () => {
    const { path, seen } = await startProxy();
    const body = container({ CapAdd: ["CHOWN"], SecurityOpt: ["no-new-privileges:true"], Memory: 1 });
    expect(await ask(path, "POST", `${CREATE}?name=x`, body)).toMatchObject({ status: 200 });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual(body);
  });

  test("an answer without an end, as it comes, and lets go of it with its reader", async () => {
    let left = false;
    const { path } = await startProxy((_, response) => {
      response.write("first");
      response.on("close", () => (left = true));
    });
    const response = await open(path, "GET", "/v1.41/events");
    const [chunk] = (await once(response, "data")) as [Buffer];
    expect(chunk.toString()).toBe("first");
    response.destroy();
    await waitUntil("the engine to be let go", () => left);
  });

  test("a command's start without its wish for a raw connection, on which nobody could look", async () => {
    const { path, seen } = await startProxy();
    const headers = { connection: "Upgrade", upgrade: "tcp" };
    expect(await ask(path, "POST", "/v1.41/exec/abc/start", { Detach: false }, headers)).toMatchObject({ status: 200 });
    expect(seen[0]?.headers).not.toHaveProperty("upgrade");
    expect(seen[0]?.body).toBe('{"Detach":false}');
  });
});

describe("the socket proxy refuses with 403, and the engine hears nothing of", () => {
  test.each([
    ["a call that is not in the list", "GET", "/v1.41/info", undefined],
    ["another method", "POST", "/v1.41/containers/json", undefined],
    ["a path that goes up", "GET", "/v1.41/containers/../images/x/json", undefined],
    ["an image that goes up", "GET", "/v1.41/images/x/../../info/json", undefined],
    ["an encoded path", "GET", "/v1.41/containers/%2e%2e/json", undefined],
    ["an old version, whose calls take more", "POST", "/v1.23/containers/x/start", undefined],
    ["a build", "POST", "/v1.41/build", undefined],
    ["the machine's folders", "POST", CREATE, container({ Binds: ["/:/host"] })],
    ["the same in other letters", "POST", CREATE, container({}, { hostconfig: { Privileged: true } })],
    ["privileges", "POST", CREATE, container({ Privileged: true })],
    ["the machine's network", "POST", CREATE, container({ NetworkMode: "host" })],
    ["another container's network", "POST", CREATE, container({ NetworkMode: "container:x" })],
    ["more capabilities", "POST", CREATE, container({ CapAdd: ["SYS_ADMIN"] })],
    ["less protection", "POST", CREATE, container({ SecurityOpt: ["seccomp=unconfined"] })],
    ["a container without limits of any kind", "POST", CREATE, { Image: "demo" }],
    ["a body that is not an object", "POST", CREATE, "text"],
    ["a privileged command", "POST", "/v1.41/containers/x/exec", { Cmd: ["id"], Privileged: true }],
    ["a network of the machine's", "POST", "/v1.41/networks/create", network({ Driver: "macvlan" })],
    ["a bridge of the machine's", "POST", "/v1.41/networks/create", network({ Options: { x: "docker0" } })],
  ])("%s", async (_, method, url, body) => {
    const { path, seen } = await startProxy();
    const { status, text } = await ask(path, method, url, body);
    expect({ status, seen }).toEqual({ status: 403, seen: [] });
    expect(JSON.parse(text)).toEqual({ message: expect.stringContaining("socket proxy") });
  });
});

test("the socket proxy says so when the engine does not answer", async () => {
  const { path, engine } = await startProxy();
  engine.close();
  expect(await ask(path, "GET", "/version")).toMatchObject({ status: 502, text: expect.stringContaining("engine") });
});
