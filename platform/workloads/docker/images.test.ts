import { describe, expect, test } from "vitest";
import type { PlatformError } from "../../kernel/errors.ts";
import { json, progress, serve } from "../../test/support/canned-engine.ts";
import { createDockerEngine } from "./docker-engine.ts";

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

  test("gives no port that is none", async () => {
    const exposed = ["0/tcp", "65536/tcp", "-1/tcp", "1.5/tcp", "junk/tcp", "/tcp", "3000/tcp"];
    const config = { ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])) };
    const { engine } = await serve({ "GET /images/demo:1/json": json(200, { Id: "sha256:1", Config: config }) });
    expect(await engine.images.ensure("demo:1")).toEqual({ id: "sha256:1", ports: [3000] });
  });

  test.each([
    [401, "its registry wants credentials"],
    [404, "its registry has no such image, or wants credentials"],
    [429, "its registry allows no more pulls for now"],
    [500, "its registry cannot be reached, or does not answer as one"],
  ])("that is answered with %s fails in our own words: the engine's are the cause alone", async (status, words) => {
    const said = "error parsing HTTP 404 response body: <h1>a secret of another server</h1>";
    const { engine } = await serve({
      "GET /images/demo:1/json": missing,
      "POST /images/create": json(status, { message: said }),
    });
    const error = await engine.images.ensure("demo:1").then(null, (reason: PlatformError) => reason);
    expect(error).toMatchObject({
      code: "image_not_found",
      message: `Cannot find image "demo:1": ${words}; pull it or build it on this machine: docker build -t demo:1 …`,
      cause: { message: expect.stringContaining(said) },
    });
  });

  test("that fails half-way fails in our own words as well", async () => {
    const { engine } = await serve({
      "GET /images/demo:1/json": missing,
      "POST /images/create": progress(
        { status: "Pulling" },
        { errorDetail: { message: "unexpected answer: <h1>it</h1>" }, error: "unexpected answer" },
      ),
    });
    await expect(engine.images.ensure("demo:1")).rejects.toMatchObject({
      code: "image_not_found",
      message: expect.stringMatching(/^Cannot find image "demo:1": the pull broke off; pull it/),
      cause: { message: "unexpected answer: <h1>it</h1>" },
    });
  });

  test("asks a registry that is allowed, and no other", async () => {
    const { asked, socketPath } = await serve({});
    const ask = async (registries: string[], image: string) => {
      const engine = createDockerEngine({ socketPath, instance: "sandbox", timeoutMs: 8_000, registries });
      await engine.images.ensure(image).catch(() => {});
      return asked.splice(0).filter(({ method }) => method === "POST").length;
    };
    expect(await ask([], "127.0.0.1:8080/x:1")).toBe(0);
    expect(await ask(["*"], "127.0.0.1:8080/x:1")).toBe(0);
    expect(await ask(["127.0.0.1:8080"], "127.0.0.1:8080/x:1")).toBe(1);
    expect(await ask([], "docker.io/library/x:1")).toBe(1);
    expect(await ask(["*"], "ghcr.io/team/x:1")).toBe(1);
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
