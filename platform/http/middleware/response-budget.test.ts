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

/** More than the kernel keeps for a connection that nobody reads. */
const LARGE = "y".repeat(16 * 2 ** 20);
const ROOM = 2.5 * LARGE.length;

/** Answers a large text at `/large/<caller>` and a small one at `/small/<caller>`, and tells how many were made. */
function answering(limits: { each: number; all: number }) {
  const answers = createResponseBudget(limits);
  const made = { count: 0, atOnce: 0, most: 0, gate: Promise.resolve() };
  const app = express().get("/:size/:caller", async (asked, response) => {
    response.locals["requestId"] = "r";
    setCaller(response, { name: String(asked.params["caller"]), role: "member" });
    await answers.send(asked, response, "text/plain", async () => {
      made.count++;
      made.most = Math.max(made.most, ++made.atOnce);
      await made.gate;
      made.atOnce--;
      return asked.params["size"] === "large" ? LARGE : "small";
    });
  });
  return { app: app.use(problemWriter(platform.logger)), made };
}

/** A client that asks and never reads. */
function stall(port: number, path: string): Socket {
  const socket = connect(port, "127.0.0.1").pause();
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

test("a caller who does not read is sent no more than it may hold, and others are, until it hangs up", async () => {
  const { app, made } = answering({ each: ROOM, all: 2 * ROOM });
  const { port, server } = await listen(app);
  const sockets = ["/large/ann", "/large/ann"].map((path) => stall(port, path));
  await waitUntil("both to be under way", () => made.count === 2);
  const refused = await request(server).get("/large/ann");
  expect([refused.status, refused.body.code, refused.headers["retry-after"]]).toEqual([429, "too_many_requests", "60"]);
  expect((await request(server).get("/small/ann")).status).toBe(200);
  expect((await request(server).get("/large/bob")).status).toBe(200);
  sockets[0]?.destroy();
  await waitUntil("room", async () => (await request(server).get("/large/ann")).status === 200);
});

test("callers who do not read are together sent no more than all may hold", async () => {
  const { app, made } = answering({ each: ROOM, all: ROOM });
  const { port, server } = await listen(app);
  stall(port, "/large/ann");
  stall(port, "/large/bob");
  await waitUntil("both to be under way", () => made.count === 2);
  expect((await request(server).get("/large/eve")).status).toBe(429);
});

test("four are made at once, and none for who has hung up before its turn", async () => {
  const { app, made } = answering({ each: ROOM, all: ROOM });
  const gate = Promise.withResolvers<void>();
  made.gate = gate.promise;
  const { port, server } = await listen(app);
  const sockets = Array.from({ length: 6 }, () => stall(port, "/small/ann"));
  await waitUntil("the first four", () => made.count === 4);
  sockets.forEach((socket) => socket.destroy());
  await waitUntil(
    "nobody to wait",
    () => new Promise((done) => server.getConnections((_, count) => done(count === 0))),
  );
  gate.resolve();
  expect((await request(server).get("/small/ann")).text).toBe("small");
  expect(made).toMatchObject({ count: 5, most: 4 });
});

test.each(["application/json", "text/plain"])("log lines as %s are such answers", async (accept) => {
  await platform.environments.save(aRecord());
  let reads = 0;
  platform.logs.read = async () => (reads++, Array.from({ length: 8 }, () => "y".repeat(2 ** 20)));
  const { port, server } = await listen(createFakeApp(platform));
  const path = `/envs/${aRecord().id}/logs`;
  for (let reader = 0; reader < 20; reader++) stall(port, path);
  await waitUntil("all to be read for", () => reads === 20);
  const { status } = await request(server).get(path).set({ accept, host: "localhost" });
  expect(status).toBe(429);
});
