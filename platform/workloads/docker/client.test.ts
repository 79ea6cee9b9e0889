import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { json, serve, VERSION, type Answer } from "../../test/support/canned-engine.ts";
import { chooseApiVersion, OpaqueAgent } from "./client.ts";

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

const hang: Answer = () => {};

/** The header of a stdout frame with this payload. */
function header(bytes: Buffer): Buffer {
  return Buffer.from([1, 0, 0, 0, 0, 0, 0, bytes.length]);
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
    const { engine } = await serve(
      {},
      { version: { ...VERSION, Version: "29.0.1", ApiVersion: "1.52", MinAPIVersion: "1.44" } },
    );
    expect(await engine.info()).toEqual({ version: "29.0.1", apiVersion: "1.47" });
  });
});

describe("a call to the engine", () => {
  test("is made by an agent that has no sockets to describe, however deeply it is inspected", () => {
    expect(inspect({ agent: new OpaqueAgent() }, { showHidden: true, depth: null })).toBe("{ agent: Agent }");
  });

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
    const { engine } = await serve({ "GET /containers/x/json": hang }, { timeoutMs: 300 });
    await expect(engine.containers.inspect("x")).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  test("fails with engine_unavailable when an answer begins and never ends", async () => {
    const begin: Answer = (_request, response) => void response.writeHead(200).write("{");
    const { engine } = await serve({ "GET /containers/x/json": begin }, { timeoutMs: 300 });
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

  test.each([404, 409, 500])("goes to the successor of a container that leaves (%i)", async (status) => {
    let id = "former";
    const labels = { "sandbox.platform": "sandbox" };
    const { engine, asked } = await serve({
      "GET /containers/x/json": (...call) => json(200, { Id: id, Name: "/x", Config: { Labels: labels } })(...call),
      "POST /containers/former/pause": (...call) =>
        (id === "former" ? json(204, null) : json(status, { message: "it is marked for removal" }))(...call),
      "POST /containers/successor/pause": json(204, null),
    });
    await engine.containers.pause("x");
    id = "successor";
    await engine.containers.pause("x");
    expect(asked.at(-1)?.url).toContain("/containers/successor/pause");
  });

  test.each(["exited", "running"])("tells why a container that is %s is refused", async (Status) => {
    const { engine } = await serve({
      "GET /containers/x/json": json(200, {
        Id: "only",
        Name: "/x",
        Config: { Labels: { "sandbox.platform": "sandbox" } },
        State: { Status },
      }),
      "POST /containers/only/pause": json(500, { message: "no room left" }),
    });
    for (const _ of [1, 2]) await expect(engine.containers.pause("x")).rejects.toThrow("no room left");
  });

  test.each([
    ["pauses", "pause", "running"],
    ["unpauses", "unpause", "paused"],
  ] as const)("that %s a container is made again while the engine fails to", async (_, verb, state) => {
    const answers = [500, 500, 204];
    const { engine } = await serve({
      "GET /containers/x/json": json(200, {
        Id: "only",
        Name: "/x",
        Config: { Labels: { "sandbox.platform": "sandbox" } },
        State: { Status: state },
      }),
      [`POST /containers/only/${verb}`]: (...call) =>
        json(answers.shift() ?? 500, { message: `OCI runtime ${verb} failed: unable to freeze: unknown` })(...call),
    });
    await engine.containers[verb]("x");
    expect(answers).toEqual([]);
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
