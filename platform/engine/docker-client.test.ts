import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { chooseApiVersion } from "./docker-client.ts";
import { createDockerEngine } from "./docker-engine.ts";
import type { Engine } from "./engine.ts";

/**
 * What the real engine does not do on demand: hang, break off, announce other versions, fail half-way
 * through a pull. A socket that answers one request in a canned way is enough for it.
 */
type Answer = (request: IncomingMessage, response: ServerResponse) => void;
type Asked = { method: string; url: string; body: string };

const VERSION = { Version: "20.10.24", ApiVersion: "1.41", MinAPIVersion: "1.12" };
const SPEC = {
  name: "sandbox-env-a-1-app",
  image: "demo:latest",
  labels: { "sandbox.platform": "sandbox" },
  env: { PASSWORD: "hunter2" },
  command: null,
  network: "sandbox-env-a-1",
  address: "10.172.0.3",
  aliases: [],
  resources: { memory_mb: 64, cpus: 1, pids: 64 },
};

/** A socket that answers `routes` by "METHOD /path" without API version and query, and an engine on it. */
async function serve(
  routes: Record<string, Answer>,
  version: object = VERSION,
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
    const answer =
      path === "/version" ? (routes["GET /version"] ?? json(200, version)) : routes[`${request.method} ${path}`];
    if (answer === undefined) return json(404, { message: `page not found: ${path}` })(request, response);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { engine: createDockerEngine({ socketPath, instance: "sandbox", timeoutMs: 300 }), asked, socketPath };
}

function json(status: number, body: unknown): Answer {
  return (_request, response) =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const hang: Answer = () => {};

/** The header of a stdout frame with this payload. */
function header(bytes: Buffer): Buffer {
  return Buffer.from([1, 0, 0, 0, 0, 0, 0, bytes.length]);
}

/** A pull's progress, a message a line. */
function progress(...messages: object[]): Answer {
  const lines = messages.map((message) => `${JSON.stringify(message)}\n`).join("");
  return (_request, response) => void response.writeHead(200).end(lines);
}

afterEach(() => void vi.unstubAllEnvs());

describe("the API version", () => {
  test.each([
    ["1.41", "1.12", "1.41"],
    ["1.45", "1.24", "1.45"],
    ["1.52", "1.44", "1.47"],
  ])("spoken with an engine of %s (from %s on) is %s", (newest, oldest, chosen) => {
    expect(chooseApiVersion(newest, oldest)).toBe(chosen);
  });

  test.each([
    ["1.40", "1.12"],
    ["1.60", "1.50"],
  ])("of an engine that speaks none of ours (%s, from %s on) is refused as engine_failed", (newest, oldest) => {
    expect(() => chooseApiVersion(newest, oldest)).toThrow(expect.objectContaining({ code: "engine_failed" }));
  });

  test("is asked for once and named in every call from then on", async () => {
    const { engine, asked } = await serve({ "GET /containers/json": json(200, []), "GET /networks": json(200, []) });
    await engine.observe();
    await engine.observe();
    expect(asked.map(({ url }) => url.split("?")[0])).toEqual([
      "/version",
      ...Array.from({ length: 2 }, () => [
        expect.stringMatching(/^\/v1\.41\/(containers\/json|networks)$/),
        expect.stringMatching(/^\/v1\.41\//),
      ]).flat(),
    ]);
  });

  test("is told by info", async () => {
    const { engine } = await serve({}, { ...VERSION, Version: "29.0.1", ApiVersion: "1.52", MinAPIVersion: "1.44" });
    expect(await engine.info()).toEqual({ version: "29.0.1", apiVersion: "1.47" });
  });
});

describe("a call to the engine", () => {
  test("keeps an environment's variables out of the URL", async () => {
    const { engine, asked } = await serve({ "POST /containers/create": json(201, { Id: "c1" }) });
    await engine.containers.create(SPEC);
    const create = asked.at(-1);
    expect(create?.url).toBe("/v1.41/containers/create?name=sandbox-env-a-1-app");
    expect(JSON.parse(create?.body ?? "")).toMatchObject({ Env: ["PASSWORD=hunter2"], Image: "demo:latest" });
  });

  test("goes to the given socket whatever DOCKER_HOST says", async () => {
    vi.stubEnv("DOCKER_HOST", "tcp://127.0.0.1:1");
    const { engine } = await serve({});
    expect((await engine.info()).version).toBe("20.10.24");
  });

  test("fails with engine_unavailable when the engine does not answer in time", async () => {
    const { engine } = await serve({ "GET /containers/x/json": hang });
    await expect(engine.containers.inspect("x")).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  test("fails with engine_unavailable when an answer begins and never ends", async () => {
    const { engine } = await serve({
      "GET /containers/x/json": (_request, response) => void response.writeHead(200).write("{"),
    });
    await expect(engine.containers.inspect("x")).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  test("fails with engine_unavailable when the engine breaks off", async () => {
    const { engine } = await serve({ "GET /containers/x/json": (request) => void request.socket.destroy() });
    await expect(engine.containers.inspect("x")).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  test("works once the engine is there that was not there before", async () => {
    let up = false;
    const { engine } = await serve({
      "GET /version": (request, response) => (up ? json(200, VERSION)(request, response) : request.socket.destroy()),
      "GET /containers/x/json": json(404, { message: "No such container" }),
    });
    await expect(engine.info()).rejects.toMatchObject({ code: "engine_unavailable" });
    await expect(engine.containers.inspect("x")).rejects.toMatchObject({ code: "engine_unavailable" });
    up = true;
    expect(await engine.containers.inspect("x")).toBeNull();
  });

  test("never uses a container that merely has an id beginning with the name", async () => {
    const { engine, asked } = await serve({
      "GET /containers/abc/json": json(200, {
        Id: "abcdef",
        Name: "/somebody-elses",
        Config: { Labels: { "sandbox.platform": "sandbox" } },
      }),
    });
    await engine.containers.remove("abc");
    expect(asked.filter(({ method }) => method === "DELETE")).toEqual([]);
  });

  test.each(["../networks", "a/b", "a?force=1", "", "ä", "a b", "x".repeat(129)])(
    "refuses the name %j before the engine sees it",
    async (name) => {
      const { engine, asked } = await serve({});
      await expect(engine.containers.remove(name)).rejects.toMatchObject({ code: "invalid_request" });
      await expect(engine.networks.remove(name)).rejects.toMatchObject({ code: "invalid_request" });
      expect(asked).toEqual([]);
    },
  );
});

describe("following logs", () => {
  const found = json(200, { Id: "c1", Name: "/x", Config: { Labels: {} } });

  test("fails with engine_unavailable when the engine breaks off, and emits no half line", async () => {
    const line = Buffer.from("2026-11-22T10:00:00.000000001Z whole\n");
    const half = Buffer.from("2026-11-22T10:00:00.000000002Z half");
    const { engine } = await serve({
      "GET /containers/x/json": found,
      "GET /containers/c1/logs": (request, response) => {
        response
          .writeHead(200)
          .write(Buffer.concat([header(line), line, header(half), half]), () =>
            setImmediate(() => request.socket.destroy()),
          );
      },
    });
    const texts: string[] = [];
    const reading = (async () => {
      const options = { follow: true, signal: new AbortController().signal };
      for await (const batch of engine.containers.logs("x", options)) texts.push(...batch.map(({ text }) => text));
    })();
    await expect(reading).rejects.toMatchObject({ code: "engine_unavailable" });
    expect(texts).toEqual(["whole"]);
  });

  test("asks from `since` on with all nanoseconds, and streams also when it does not follow", async () => {
    const { engine, asked } = await serve({
      "GET /containers/x/json": found,
      "GET /containers/c1/logs": (_request, response) => void response.writeHead(200).end(),
    });
    const options = {
      follow: false,
      since: "2026-11-22T10:00:00.123456789Z",
      tail: 5,
      signal: new AbortController().signal,
    };
    const lines = engine.containers.logs("x", options)[Symbol.asyncIterator]();
    expect(await lines.next()).toMatchObject({ done: true });
    const query = new URL(asked.at(-1)?.url ?? "", "http://engine").searchParams;
    expect(Object.fromEntries(query)).toEqual({
      follow: "false",
      stdout: "true",
      stderr: "true",
      timestamps: "true",
      tail: "5",
      since: "1795341600.123456789",
    });
  });
});

describe("ensuring an image", () => {
  const missing = json(404, { message: "No such image: demo:1" });

  test("pulls a missing one once for all who ask, and gives its TCP ports in order", async () => {
    let pulled = false;
    const { engine, asked } = await serve({
      "GET /images/demo:1/json": (request, response) =>
        (pulled
          ? json(200, { Id: "sha256:1", Config: { ExposedPorts: { "8080/tcp": {}, "80/tcp": {}, "53/udp": {} } } })
          : missing)(request, response),
      "POST /images/create": (request, response) => {
        setTimeout(() => {
          pulled = true;
          progress({ status: "Pulling" }, { status: "Downloaded" })(request, response);
        }, 50);
      },
    });
    const facts = await Promise.all([
      engine.images.ensure("demo:1"),
      engine.images.ensure("demo:1"),
      engine.images.ensure("demo:1"),
    ]);
    expect(facts).toEqual(Array.from({ length: 3 }, () => ({ id: "sha256:1", ports: [80, 8080] })));
    const pulls = asked.filter(({ method }) => method === "POST");
    expect(pulls).toEqual([{ method: "POST", url: "/v1.41/images/create?fromImage=demo&tag=1", body: "" }]);
  });

  test("fails with image_not_found and the engine's words when a pull fails half-way", async () => {
    const { engine } = await serve({
      "GET /images/demo:1/json": missing,
      "POST /images/create": progress(
        { status: "Pulling" },
        { errorDetail: { message: "manifest unknown" }, error: "manifest unknown" },
      ),
    });
    await expect(engine.images.ensure("demo:1")).rejects.toMatchObject({
      code: "image_not_found",
      message:
        'Cannot find image "demo:1": manifest unknown; pull it or build it on this machine: docker build -t demo:1 …',
    });
  });

  test("fails with image_not_found and the engine's words when the registry is out of reach", async () => {
    const { engine } = await serve({
      "GET /images/demo:1/json": missing,
      "POST /images/create": json(500, { message: "dial tcp: no such host" }),
    });
    const failure = expect.stringContaining('Cannot find image "demo:1": dial tcp: no such host; pull it');
    await expect(engine.images.ensure("demo:1")).rejects.toMatchObject({ code: "image_not_found", message: failure });
  });

  test("leaves with the caller's reason when the caller gives up, and ends the pull", async () => {
    const ended = Promise.withResolvers<void>();
    const { engine } = await serve({
      "GET /images/demo:1/json": missing,
      "POST /images/create": (request, response) => {
        request.socket.once("close", () => ended.resolve());
        response.writeHead(200).write('{"status":"Pulling"}\n');
        setImmediate(() => caller.abort(new Error("gave up")));
      },
    });
    const caller = new AbortController();
    await expect(engine.images.ensure("demo:1", caller.signal)).rejects.toThrow("gave up");
    await ended.promise;
  });

  test("refuses what is no reference before the engine sees it", async () => {
    const { engine, asked } = await serve({});
    await expect(engine.images.ensure("../containers/x")).rejects.toMatchObject({
      code: "invalid_request",
      errors: [{ path: "image", message: expect.stringContaining("not an image reference") }],
    });
    expect(asked).toEqual([]);
  });
});
