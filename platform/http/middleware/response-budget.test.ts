import { connect, type Socket } from "node:net";
import express from "express";
import request from "supertest";
import { expect, onTestFinished, test } from "vitest";
import { createFakeApp, useFakePlatform, type FakePlatform } from "../../test/support/fake-platform.ts";
import { listen } from "../../test/support/listen.ts";
import { aRecord } from "../../test/support/record.ts";
import { waitUntil } from "../../test/support/wait-until.ts";
import { problemWriter } from "../problem.ts";
import { createResponseBudget } from "./response-budget.ts";
import { setCaller } from "./caller.ts";

let platform: FakePlatform;
useFakePlatform((fresh) => (platform = fresh));

/** More than the kernel buffers for a connection that is not read. */
const LARGE = "y".repeat(16 * 2 ** 20);
const LIMIT = 2.5 * LARGE.length;

/** Serves a large text at `/large/<caller>` and a small one at `/small/<caller>`, and counts those it has rendered. */
async function serve(limits: { each: number; all: number }) {
  const budget = createResponseBudget(limits);
  const rendered = { count: 0, now: 0, most: 0, gate: Promise.resolve() };
  const app = express().get("/:size/:caller", async ({ params }, response) => {
    response.locals["requestId"] = "r";
    setCaller(response, { name: params.caller, role: "member" });
    await budget.send(response.req, response, "text/plain", async () => {
      rendered.count++;
      rendered.most = Math.max(rendered.most, ++rendered.now);
      await rendered.gate;
      rendered.now--;
      return params.size === "large" ? LARGE : "small";
    });
  });
  return { ...(await listen(app.use(problemWriter(platform.logger)))), rendered };
}

/** Sends a request and does not read the answer. */
function stall(port: number, path: string): Socket {
  const socket = connect(port, "127.0.0.1").pause();
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

test("a caller with too many unread bytes is answered 429 until it hangs up, and other callers are served", async () => {
  const { port, server, rendered } = await serve({ each: LIMIT, all: 2 * LIMIT });
  const [first] = ["/large/ann", "/large/ann"].map((path) => stall(port, path));
  await waitUntil("two texts", () => rendered.count === 2);
  const refused = await request(server).get("/large/ann");
  expect([refused.status, refused.body.code, refused.headers["retry-after"]]).toEqual([429, "too_many_requests", "60"]);
  expect((await request(server).get("/small/ann")).status).toBe(200);
  expect((await request(server).get("/large/bob")).status).toBe(200);
  first?.destroy();
  await waitUntil("a free budget", async () => (await request(server).get("/large/ann")).status === 200);
});

test("another caller is answered 429 when all together have too many unread bytes", async () => {
  const { port, server, rendered } = await serve({ each: LIMIT, all: LIMIT });
  stall(port, "/large/ann");
  stall(port, "/large/bob");
  await waitUntil("two texts", () => rendered.count === 2);
  expect((await request(server).get("/large/eve")).status).toBe(429);
});

test("four texts are rendered at once, and none for a client that hung up while it waited", async () => {
  const { port, server, rendered } = await serve({ each: LIMIT, all: LIMIT });
  const gate = Promise.withResolvers<void>();
  rendered.gate = gate.promise;
  const sockets = Array.from({ length: 6 }, () => stall(port, "/small/ann"));
  await waitUntil("the first four", () => rendered.count === 4);
  sockets.forEach((socket) => socket.destroy());
  await waitUntil(
    "the connections' end",
    () => new Promise((done) => server.getConnections((_, count) => done(count === 0))),
  );
  gate.resolve();
  expect((await request(server).get("/small/ann")).text).toBe("small");
  expect(rendered).toMatchObject({ count: 5, most: 4 });
});

test.each(["application/json", "text/plain"])("log lines as %s count towards the budget", async (accept) => {
  await platform.environments.save(aRecord());
  let reads = 0;
  const lines = Array.from({ length: 8 }, () => "y".repeat(2 ** 20));
  platform.logs.read = async () => (reads++, lines);
  const { port, server } = await listen(createFakeApp(platform));
  const path = `/envs/${aRecord().id}/logs`;
  for (let reader = 0; reader < 9; reader++) stall(port, path);
  await waitUntil("all reads", () => reads === 9);
  const { status } = await request(server).get(path).set({ accept, host: "localhost" });
  expect(status).toBe(429);
});
