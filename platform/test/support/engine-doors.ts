import { connect, createServer, type Server, type Socket } from "node:net";
import { DOCKER_SOCKET } from "./docker.ts";

/** A way to the engine that a test can make hang: connections are taken, and nothing ever comes back. */
export type EngineDoor = {
  hang(): void;
  /** What was held back goes on its way. */
  goOn(): void;
  close(): Promise<void>;
};

/** Listens at `path`. `hanging` from the start needs no engine at all. */
export async function openEngineDoor(path: string, { hanging = false } = {}): Promise<EngineDoor> {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let hangs = hanging;

  function pass(work: () => void): void {
    if (hangs) held.push(work);
    else work();
  }

  function join(from: Socket, to: Socket): void {
    sockets.add(from);
    from.on("data", (chunk) => pass(() => void to.write(chunk)));
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
      const engine = connect({ path: DOCKER_SOCKET, allowHalfOpen: true });
      join(client, engine);
      join(engine, client);
      client.resume();
    });
  }

  const server: Server = createServer({ allowHalfOpen: true }, accept);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    hang() {
      hangs = true;
    },
    goOn() {
      hangs = false;
      for (const work of held.splice(0)) work();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
