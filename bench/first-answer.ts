import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** Where a request goes: an IP address and port, with the `Host` and path that it names. */
export type Target = { address: string; port: number; host: string; path: string };

const RETRY_MS = 3;
/** Short: a lost first packet would be sent again only after a second. */
const TIMEOUT_MS = 500;
const LIMIT_MS = 120_000;

/** Sends requests, each on a connection of its own, until one is answered with 200. Rejects after two minutes. */
export async function awaitFirst200(target: Target, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  let last: unknown;
  while (performance.now() < deadline) {
    signal.throwIfAborted();
    try {
      return await ask(target);
    } catch (error) {
      last = error;
    }
    await sleep(RETRY_MS);
  }
  throw new Error(`Waited ${LIMIT_MS} ms for ${target.host}${target.path}`, { cause: last });
}

/** Resolves when a whole answer with 200 has arrived, and rejects otherwise. */
function ask({ address, port, host, path }: Target): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: address, port, path, agent: false, headers: { host } }, (response) => {
      const { statusCode } = response;
      response.on("error", reject);
      response.on("end", () => (statusCode === 200 ? resolve() : reject(new Error(`status ${statusCode}`))));
      response.resume();
    });
    outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`silent for ${TIMEOUT_MS} ms`)));
    outgoing.on("error", reject);
    outgoing.end();
  });
}
