import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { keptConnections } from "./kept-connections.ts";

async function clientOf(server: Server) {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const client = keptConnections({ address: "127.0.0.1", port, host: "bench", path: "/list" });
  onTestFinished(() => {
    client.close();
    server.close();
  });
  return client;
}

function countingServer(listener: RequestListener): { server: Server; connections: () => number } {
  let connections = 0;
  const server = createServer(listener).on("connection", () => connections++);
  return { server, connections: () => connections };
}

test("kept connections carry requests one after the other on one connection, and concurrent ones on one each", async () => {
  const body = Buffer.alloc(300_000, "x");
  const { server, connections } = countingServer((_request, response) => void response.end(body));
  const client = await clientOf(server);
  for (let index = 0; index < 5; index++) await client.ask();
  expect(connections()).toBe(1);
  await Promise.all([client.ask(), client.ask(), client.ask()]);
  expect(connections()).toBe(3);
});

test("an answer in many pieces resolves its request with the last byte", async () => {
  const pieces = ["HTTP/1.1 200 OK\r\nContent-", "Length: 6\r\n\r", "\nab", "cd"];
  const [written, last] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = createTcpServer(async (socket) => {
    socket.setNoDelay(true);
    for (const piece of pieces) await new Promise((done) => socket.write(piece, () => setTimeout(done, 5)));
    written.resolve();
    await last.promise;
    socket.write("ef");
  });
  const client = await clientOf(server);
  const order: string[] = [];
  const asking = client.ask().then(() => order.push("answered"));
  await written.promise;
  order.push("all but its end has arrived");
  last.resolve();
  await asking;
  expect(order).toEqual(["all but its end has arrived", "answered"]);
});

test("a request is rejected by an answer other than 200 and by one that ends too early", async () => {
  const { server } = countingServer((_request, response) => void response.writeHead(503).end());
  await expect((await clientOf(server)).ask()).rejects.toThrow("status 503");
  const broken = createTcpServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
  await expect((await clientOf(broken)).ask()).rejects.toThrow("closed before the end");
});

test("a kept connection that its server has closed is opened again", async () => {
  const { server, connections } = countingServer((request, response) => {
    response.end("well");
    response.on("close", () => request.socket.destroy());
  });
  const client = await clientOf(server);
  for (let index = 0; index < 3; index++) await client.ask();
  expect(connections()).toBe(3);
});
