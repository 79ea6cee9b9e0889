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

let platform: FakePlatform;
let tokens: ReturnType<typeof createFakeTokens>;

useFakePlatform((fresh) => (platform = fresh));
beforeEach(() => (platform.tokens = tokens = createFakeTokens(PEOPLE)));

/** A stream of nothing but heartbeats, one every 20 ms, on every path; whoever bears `t-ann` is Ann. */
function heartbeats(): ReturnType<typeof express> {
  const streams = createStreams(platform, { heartbeatMs: 20 });
  return express().get("/", async (request, response) => {
    setCaller(response, PEOPLE["t-ann"]);
    await streams.open(request, response, silence);
  });
}

/** A source in which nothing happens. */
async function* silence(signal: AbortSignal): AsyncGenerator<{ data: string }> {
  if (!signal.aborted) await once(signal, "abort");
  yield { data: "too late" };
}

/** Connects a client; `text` is what it has been sent so far. */
async function hearing(app: ReturnType<typeof express>): Promise<(path: string, token: string) => Promise<Heard>> {
  const { port } = await listen(app);
  return (path, token) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
      get({ port, path, headers, agent: false }, (response) => {
        const heard: Heard = { response, text: "" };
        response.setEncoding("utf8").on("data", (chunk: string) => (heard.text += chunk));
        resolve(heard);
      }).on("error", reject);
    });
}

type Heard = { response: IncomingMessage; text: string };

test.each([
  ["revoked", () => tokens.known.delete("t-ann")],
  ["given another role", () => tokens.known.set("t-ann", { name: "ann", role: "viewer" })],
  ["given to somebody else", () => tokens.known.set("t-ann", { name: "bob", role: "member" })],
  ["not to be looked up", () => (tokens.identify = () => Promise.reject(new Error("no")))],
])("a stream ends at the next heartbeat when its token is %s", async (_, change) => {
  const heard = await (await hearing(heartbeats()))("/", "t-ann");
  await waitUntil("two heartbeats", () => heard.text.split(": still here").length > 2, 5_000, 10);
  expect(heard.response.complete).toBe(false);
  change();
  await waitUntil("its end", () => heard.response.complete, 5_000, 10);
  expect(heard.text).toMatch(/event: end\ndata: token revoked\n\n$/);
});

test.each(["/events", "/envs/{id}/logs"])(
  "of %s a caller has at most a hundred open, and others theirs",
  async (path) => {
    const { id } = aRecord();
    await platform.environments.save(aRecord());
    await platform.logs.append(id, [
      { timestamp: "2030-01-01T00:00:00.000000000Z", service: "app", stream: "stdout", text: "" },
    ]);
    const open = await hearing(createFakeApp(platform));
    const place = path.replace("{id}", id);
    const all = await Promise.all(Array.from({ length: 100 }, () => open(place, "t-eve")));
    expect(new Set(all.map(({ response }) => response.statusCode))).toEqual(new Set([200]));
    const refused = await open(place, "t-eve");
    expect([refused.response.statusCode, Number(refused.response.headers["retry-after"]) > 0]).toEqual([429, true]);
    expect((await open(place, "t-root")).response.statusCode).toBe(200);
    all[0]?.response.destroy();
    await waitUntil(
      "the place to be free",
      async () => (await open(place, "t-eve")).response.statusCode === 200,
      5_000,
      50,
    );
  },
);

test("callers together have so many open, and the next one is refused until somebody hangs up", async () => {
  platform.tokens = null;
  const streams = createStreams(platform, { openAtOnce: { each: 2, all: 3 } });
  const app = express().get("/:name", async (request, response) => {
    response.locals["requestId"] = "r";
    setCaller(response, { name: request.params.name, role: "member" });
    await streams.open(request, response, silence);
  });
  const open = await hearing(app.use(problemWriter(platform.logger)));
  const [first] = await Promise.all(["/ann", "/ann", "/bob"].map((path) => open(path, "")));
  const refused = await open("/eve", "");
  expect([refused.response.statusCode, Number(refused.response.headers["retry-after"]) > 0]).toEqual([429, true]);
  await waitUntil("why", () => refused.text.includes("too_many_requests"), 5_000, 10);
  first?.response.destroy();
  await waitUntil("a place", async () => (await open("/eve", "")).response.statusCode === 200, 5_000, 50);
});
