import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import express from "express";
import { beforeEach, expect, test } from "vitest";
import { createFakeApp, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { createFakeTokens, PEOPLE } from "../../test/support/fake-tokens.ts";
import { listen } from "../../test/support/listen.ts";
import { aRecord } from "../../test/support/record.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { setCaller } from "../middleware/caller.ts";
import { problemWriter } from "../problem.ts";
import { createStreams } from "./streams.ts";

type App = ReturnType<typeof express>;
type Client = { response: IncomingMessage; text: string };

let platform: FakePlatform;
let tokens: ReturnType<typeof createFakeTokens>;

useFakePlatform((fresh) => (platform = fresh));
beforeEach(() => (platform.tokens = tokens = createFakeTokens(PEOPLE)));

/** Serves streams without events, at `/<caller>`. */
function silentStreams(options: Parameters<typeof createStreams>[1]): App {
  const identify = (token: string) => tokens.identify(token);
  const streams = createStreams({ identify, stopping: platform.stopping }, options);
  const app = express().get("/:name", async (request, response) => {
    response.locals["requestId"] = "r";
    setCaller(response, { name: request.params.name, role: "member" });
    await streams.open(request, response, silence);
  });
  return app.use(problemWriter(platform.logger));
}

async function* silence(signal: AbortSignal): AsyncGenerator<{ data: string }> {
  if (!signal.aborted) await once(signal, "abort");
  yield { data: "too late" };
}

/** Serves an app to clients; `text` is the part of the stream that a client has received so far. */
async function clientsOf(app: App): Promise<(path: string, token: string) => Promise<Client>> {
  const { port } = await listen(app);
  return (path, token) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
      get({ port, path, headers, agent: false }, (response) => {
        const client: Client = { response, text: "" };
        response.setEncoding("utf8").on("data", (chunk: string) => (client.text += chunk));
        resolve(client);
      }).on("error", reject);
    });
}

function expectRefused({ response }: Client): void {
  expect([response.statusCode, Number(response.headers["retry-after"]) > 0]).toEqual([429, true]);
}

test.each([
  ["is revoked", () => tokens.known.delete("t-ann")],
  ["is given another role", () => tokens.known.set("t-ann", { name: "ann", role: "viewer" })],
  ["is given to another owner", () => tokens.known.set("t-ann", { name: "bob", role: "member" })],
  ["cannot be looked up", () => (tokens.identify = () => Promise.reject(new Error("no")))],
])("a stream ends at the next heartbeat when its token %s", async (_, change) => {
  const open = await clientsOf(silentStreams({ heartbeatMs: 20 }));
  const client = await open("/ann", "t-ann");
  await waitUntil("two heartbeats", () => client.text.split(": still here").length > 2, 5_000, 10);
  expect(client.response.complete).toBe(false);
  change();
  await waitUntil("its end", () => client.response.complete, 5_000, 10);
  expect(client.text).toMatch(/event: end\ndata: token revoked\n\n$/);
});

test.each(["/events", "/envs/{id}/logs"])(
  "a caller may have a hundred streams of %s open, and no more",
  async (path) => {
    const { id } = aRecord();
    await platform.environments.save(aRecord());
    await platform.logs.append(id, [
      { timestamp: "2030-01-01T00:00:00.000000000Z", service: "app", stream: "stdout", text: "" },
    ]);
    const clients = await clientsOf(createFakeApp(platform));
    const open = (token: string) => clients(path.replace("{id}", id), token);
    const all = await Promise.all(Array.from({ length: 100 }, () => open("t-eve")));
    expect(new Set(all.map(({ response }) => response.statusCode))).toEqual(new Set([200]));
    expectRefused(await open("t-eve"));
    expect((await open("t-root")).response.statusCode).toBe(200);
    all[0]?.response.destroy();
    await waitUntil("a free place", async () => (await open("t-eve")).response.statusCode === 200, 5_000, 50);
  },
);

test("callers together may have so many streams open, and no more until one is closed", async () => {
  const open = await clientsOf(silentStreams({ openAtOnce: { each: 2, all: 3 } }));
  const [first] = await Promise.all(["/ann", "/ann", "/bob"].map((path) => open(path, "")));
  const refused = await open("/eve", "");
  expectRefused(refused);
  await waitUntil("the reason", () => refused.text.includes("too_many_requests"), 5_000, 10);
  first?.response.destroy();
  await waitUntil("a free place", async () => (await open("/eve", "")).response.statusCode === 200, 5_000, 50);
});
