import { request, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** Sends `bytes` in chunks, without announcing how many. */
export function upload(
  address: string,
  host: string,
  bytes: number,
  port = 80,
): Promise<{ body: string; endedAt: number }> {
  return new Promise((done, fail) => {
    let endedAt = 0;
    const outgoing = request(
      {
        host: address,
        port,
        method: "POST",
        path: "/upload",
        headers: { host, "transfer-encoding": "chunked" },
        agent: false,
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.on("end", () => done({ body, endedAt }));
      },
    );
    outgoing.on("error", fail);
    const chunk = Buffer.alloc(2 ** 20);
    let left = bytes;
    const send = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!outgoing.write(chunk)) return void outgoing.once("drain", send);
      }
      endedAt = performance.now();
      outgoing.end();
    };
    send();
  });
}

/** Opens a WebSocket as far as HTTP knows: what follows the 101 are plain bytes. */
export function upgrade(address: string, host: string, port = 80): Promise<Duplex> {
  return new Promise((done, fail) => {
    const headers = { host, connection: "Upgrade", upgrade: "websocket" };
    const outgoing = request({ host: address, port, headers, agent: false });
    outgoing.once("upgrade", (_, socket) => done(socket));
    outgoing.once("response", ({ statusCode }) => fail(new Error(`answered ${statusCode} to an upgrade`)));
    outgoing.on("error", fail);
    outgoing.end();
  });
}

/** Follows an event stream whose data are ascending numbers. */
export function follow(
  address: string,
  host: string,
  port = 80,
): Promise<{ numbers: number[]; ended: () => boolean; response: IncomingMessage }> {
  return new Promise((done, fail) => {
    const outgoing = request({ host: address, port, path: "/events", headers: { host }, agent: false }, (response) => {
      const numbers: number[] = [];
      let ended = false;
      response.setEncoding("utf8").on("data", (text: string) => {
        for (const [, digits] of text.matchAll(/data: (\d+)/g)) numbers.push(Number(digits));
      });
      response.on("close", () => (ended = true));
      response.on("error", () => undefined); // dropped by ourselves at the end
      done({ numbers, ended: () => ended, response });
    });
    outgoing.on("error", fail);
    outgoing.end();
  });
}
