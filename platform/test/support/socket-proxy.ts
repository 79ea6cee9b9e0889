import { connect, createServer, type Server, type Socket } from "node:net";
import { DOCKER_SOCKET } from "./docker.ts";

/** A second door to the engine that can be shut, since the engine itself is everybody's. */
export type SocketProxy = {
  open(): Promise<void>;
  /** Cuts every connection and takes no new ones. */
  close(): Promise<void>;
  connections(): number;
  bytesFromEngine(): number;
};

/** A door at `path`, shut at first. */
export function createSocketProxy(path: string): SocketProxy {
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let bytes = 0;

  function accept(client: Socket): void {
    const upstream = connect(DOCKER_SOCKET);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    upstream.on("data", (chunk) => void (bytes += chunk.length));
  }

  return {
    async open() {
      if (server !== null) return;
      server = createServer(accept);
      await new Promise<void>((resolve) => server?.listen(path, resolve));
    },
    async close() {
      const closing = server;
      server = null;
      if (closing === null) return;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => closing.close(resolve));
    },
    connections: () => sockets.size / 2,
    bytesFromEngine: () => bytes,
  };
}
