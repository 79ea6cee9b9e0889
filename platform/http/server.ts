import { createServer, STATUS_CODES, type RequestListener, type Server } from "node:http";
import { randomUUID } from "node:crypto";
import { PlatformError } from "../domain/errors.ts";
import { toProblem } from "./problem.ts";

/** A listening HTTP server for the app; rejects when the address cannot be taken. */
export async function startServer(app: RequestListener, host: string, port: number): Promise<Server> {
  const server = createServer(app);
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) return;
    const problem = toProblem(
      new PlatformError("invalid_request", "Cannot read the request: it is not well-formed HTTP.", { cause: error }),
      randomUUID(),
    );
    const body = JSON.stringify(problem);
    const head = `HTTP/1.1 400 ${STATUS_CODES[400]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
    socket.end(`${head}\r\n\r\n${body}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return server;
}

/** Takes no more connections and waits for the answers under way. */
export async function stopServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await closed;
}
