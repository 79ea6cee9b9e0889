import { connect, createServer, type Server, type Socket } from "node:net";
import { DOCKER_SOCKET } from "./docker.ts";

/** A second way to the engine, which a test can close, or make hang. */
export type EngineProxy = {
  open(): Promise<void>;
  /** Cuts every connection and takes no new ones. */
  close(): Promise<void>;
  /** Takes connections and bytes, and passes none on. */
  hang(): void;
  /** Passes on all that `hang` has kept. */
  resume(): void;
  connections(): number;
  bytesFromEngine(): number;
};

/** A proxy at `path`, closed at first. One that is `hanging` from the start needs no engine. */
export function createEngineProxy(path: string, { hanging = false } = {}): EngineProxy {
  const sockets = new Set<Socket>();
  const kept: (() => void)[] = [];
  let server: Server | null = null;
  let bytes = 0;
  let hangs = hanging;

  function pass(work: () => void): void {
    if (hangs) kept.push(work);
    else work();
  }

  function join(from: Socket, to: Socket): void {
    sockets.add(from);
    from.on("data", (chunk) =>
      pass(() => {
        if (to.write(chunk)) return;
        from.pause();
        to.once("drain", () => from.resume());
      }),
    );
    from.on("end", () => pass(() => void to.end()));
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      pass(() => void to.destroy());
    });
  }

  function accept(client: Socket): void {
    sockets.add(client);
    client.on("error", () => {});
    client.pause();
    pass(() => {
      const upstream = connect({ path: DOCKER_SOCKET, allowHalfOpen: true });
      upstream.on("data", (chunk) => void (bytes += chunk.length));
      join(client, upstream);
      join(upstream, client);
      client.resume();
    });
  }

  return {
    async open() {
      if (server !== null) return;
      server = createServer({ allowHalfOpen: true }, accept);
      await new Promise<void>((resolve) => server?.listen(path, resolve));
    },
    async close() {
      const closing = server;
      server = null;
      if (closing === null) return;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => closing.close(resolve));
    },
    hang() {
      hangs = true;
    },
    resume() {
      hangs = false;
      for (const work of kept.splice(0)) work();
    },
    connections: () => sockets.size / 2,
    bytesFromEngine: () => bytes,
  };
}
