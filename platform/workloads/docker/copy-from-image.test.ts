import { expect, test } from "vitest";
import { json, serve, type Answer } from "../../test/support/canned-engine.ts";
import { createDockerEngine } from "./docker-engine.ts";

const CONTAINER = "sandbox-env-a-1-app";
const OURS = json(200, { Id: "c1", Name: `/${CONTAINER}`, Config: { Labels: { "sandbox.platform": "sandbox" } } });
const ARCHIVE: Answer = (_request, response) => void response.writeHead(200).end("an archive");

/** An engine that hangs with this part of a copy, which is when the platform has no time left. */
async function serveCopy(part: "GET /containers/sandbox-helper-*/archive" | "PUT /containers/c1/archive") {
  const late = new AbortController();
  const { socketPath, asked } = await serve({
    [`GET /containers/${CONTAINER}/json`]: OURS,
    "POST /containers/create": json(201, { Id: "c2" }),
    "GET /containers/sandbox-helper-*/archive": ARCHIVE,
    [part]: () => late.abort(),
  });
  const engine = createDockerEngine({ socketPath, instance: "sandbox", timeoutMs: 60_000, cutOff: late.signal });
  return { engine, asked };
}

test.each(["GET /containers/sandbox-helper-*/archive", "PUT /containers/c1/archive"] as const)(
  "a copy is broken off once there is no time left, while the engine is at %s",
  async (part) => {
    const { engine, asked } = await serveCopy(part);
    await expect(engine.containers.copyFromImage(CONTAINER, "tools:latest", "/tools")).rejects.toMatchObject({
      code: "shutting_down",
      message: `Cannot copy "/tools" into container "${CONTAINER}": the platform is shutting down`,
    });
    expect(asked.at(-1)).toMatchObject({ method: part.split(" ")[0], url: expect.stringContaining("/archive") });
  },
);
