import { createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { DEFAULT_VERSION_PORTS } from "./config-version.ts";
import { createRunningNginx } from "./running-nginx.ts";

/** A server that answers with a head and the beginning of a body, and then does with the connection as told. */
async function askBroken(after: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nReading: 0 Writing: 1 Waiting: 0");
      setImmediate(() => after(socket));
    });
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return createRunningNginx(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, DEFAULT_VERSION_PORTS);
}

test("an answer that is cut off in its midst counts as none, and is not waited for", async () => {
  const nginx = await askBroken((socket) => socket.destroy());
  expect(await nginx.ask()).toMatchObject({ answers: false });
  expect(await nginx.check()).toMatchObject({ ok: false });
  expect(await nginx.counters()).toBeNull();
});

test("an answer that never ends is waited for as long as an answer may take", async () => {
  const nginx = await askBroken(() => {});
  expect(await nginx.counters()).toBeNull();
  expect(await nginx.ask()).toMatchObject({ answers: false, reason: expect.stringContaining("within 2000 ms") });
});

test("old workers, which Nginx keeps for 100 ms at every reload, are not polled during that time", async () => {
  let asked = 0;
  const old = createServer((socket) => {
    asked++;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void old.close());
  await once(old, "listening");
  const { port } = old.address() as AddressInfo;
  const nginx = createRunningNginx("http://127.0.0.1:1", { first: port, count: 2 });
  expect(await nginx.awaitVersion(1, [0], 50)).toBe(false);
  expect(asked).toBe(2);
});
