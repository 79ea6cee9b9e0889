import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** Where to ask: an address, and the name it is asked by. */
export type Target = { address: string; port: number; host: string; path: string };

const RETRY_MS = 3;
const LIMIT_MS = 120_000;

/**
 * Asks over and over, each time on a connection of its own, until there is a 200. One that gets no answer
 * is given up soon: a lost first packet would be sent again only after a second.
 */
export async function awaitFirst200(target: Target, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  let last: unknown;
  while (performance.now() < deadline) {
    signal.throwIfAborted();
    try {
      return await ask(target, 500);
    } catch (error) {
      last = error;
    }
    await sleep(RETRY_MS);
  }
  throw new Error(`Waited ${LIMIT_MS} ms for ${target.host}${target.path}`, { cause: last });
}

/** One request on a connection of its own; resolves when a 200 has come in whole, rejects otherwise. */
export function ask({ address, port, host, path }: Target, timeoutMs = 30_000): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: address, port, path, agent: false, headers: { host } }, (response) => {
      const { statusCode } = response;
      response.on("error", reject);
      response.on("end", () => (statusCode === 200 ? resolve() : reject(new Error(`status ${statusCode}`))));
      response.resume();
    });
    outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`silent for ${timeoutMs} ms`)));
    outgoing.on("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === undefined ? error : new Error(error.code)),
    );
    outgoing.end();
  });
}
