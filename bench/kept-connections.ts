import { connect, type Socket } from "node:net";
import type { Target } from "./first-answer.ts";

const BUFFER_BYTES = 256 * 1024;
/** More than the head of either side's answers. */
const HEAD_BYTES = 4096;
const SILENCE_MS = 30_000;
const HEAD_END = "\r\n\r\n";

/** A client of one address with as many kept connections as it has requests under way. */
export type KeptConnections = {
  /** Sends one request. Resolves when a whole answer with 200 and a length has arrived, and rejects otherwise. */
  ask(): Promise<void>;
  close(): void;
};

/** A connection and the request that is under way on it. */
type Connection = {
  socket: Socket;
  /** Has carried an answer before, so that its server may close it just as the next request is sent. */
  used: boolean;
  head: string;
  /** Bytes of the answer's body still to come; null until its head has arrived. */
  left: number | null;
  settle: PromiseWithResolvers<void> | null;
};

/**
 * A client that leaves no garbage: it reads every answer into the same buffer. Node's own client makes new buffers for
 * every answer, and its pauses to collect them would count as the server's latency.
 */
export function keptConnections({ address, port, host, path }: Target): KeptConnections {
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const buffer = Buffer.alloc(BUFFER_BYTES);
  const idle: Connection[] = [];
  const all = new Set<Connection>();

  function open(): Connection {
    const onread = { buffer, callback: (bytes: number) => (take(connection, bytes), true) };
    const socket = connect({ host: address, port, onread });
    const connection: Connection = { socket, used: false, head: "", left: null, settle: null };
    all.add(connection);
    socket.setNoDelay(true);
    socket.setTimeout(SILENCE_MS, () => fail(connection, `silent for ${SILENCE_MS} ms`));
    socket.on("error", () => {}); // followed by `close`
    socket.on("close", () => {
      const { settle, used, head } = connection;
      all.delete(connection);
      if (settle === null) idle.splice(idle.indexOf(connection), 1);
      else if (used && head === "") ask().then(settle.resolve, settle.reject);
      else settle.reject(new Error("closed before the end of the answer"));
    });
    return connection;
  }

  function take(connection: Connection, bytes: number): void {
    let body = bytes;
    if (connection.left === null) {
      const before = connection.head.length;
      connection.head += buffer.toString("latin1", 0, Math.min(bytes, HEAD_BYTES));
      const end = connection.head.indexOf(HEAD_END);
      if (end === -1) return bytes < HEAD_BYTES ? undefined : fail(connection, "a head without end");
      const status = connection.head.slice("HTTP/1.1 ".length, 12);
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(connection.head)?.[1];
      if (status !== "200" || length === undefined) return fail(connection, `status ${status}, length ${length}`);
      connection.left = Number(length);
      body = before + bytes - end - HEAD_END.length;
    }
    connection.left -= body;
    if (connection.left > 0) return;
    const { settle } = connection;
    Object.assign(connection, { used: true, head: "", left: null, settle: null });
    idle.push(connection);
    settle?.resolve();
  }

  function fail(connection: Connection, reason: string): void {
    connection.settle?.reject(new Error(reason));
    connection.socket.destroy();
  }

  function ask(): Promise<void> {
    const connection = idle.pop() ?? open();
    const settle = Promise.withResolvers<void>();
    connection.settle = settle;
    connection.socket.write(request);
    return settle.promise;
  }

  return { ask, close: () => all.forEach(({ socket }) => socket.destroy()) };
}
