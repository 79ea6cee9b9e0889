import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { errnoOf } from "../kernel/atomic-file.ts";

/** How long the holder of a lock may take to say who it is. */
const WORDS_LIMIT_MS = 1_000;
const MAX_WORDS = 200;

/** A lock that is held until it is released or the process ends, however it ends. */
export type ExclusiveLock = { release(): Promise<void> };

/**
 * Takes the machine's lock of that name, or tells what its holder says of itself.
 * It is an abstract Unix socket: it belongs to the network namespace, so that a container on the host's network and a
 * process of the host see the same one, whatever their folders and process ids are; and the kernel lets go of it with
 * the process, so that nothing stale is left by SIGKILL or a reboot (unix(7)). `words`: who holds it, one line.
 */
export async function takeExclusiveLock(
  name: string,
  words: string,
): Promise<{ lock: ExclusiveLock } | { holder: string }> {
  const address = `\0${name}`;
  const server = createServer((socket) => {
    socket.on("error", () => {}); // whoever asked is gone
    socket.end(words).destroySoon(); // nobody is waited for
  });
  server.listen(address);
  try {
    await once(server, "listening");
  } catch (error) {
    if (errnoOf(error) !== "EADDRINUSE") throw error;
    return { holder: await wordsOf(address) };
  }
  server.unref();
  return { lock: { release: () => close(server) } };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Anybody of this machine may hold a socket of that name: what it says is short and one line. */
async function wordsOf(address: string): Promise<string> {
  const socket = connect(address);
  socket.setTimeout(WORDS_LIMIT_MS, () => socket.destroy());
  socket.setEncoding("utf8");
  let words = "";
  try {
    for await (const chunk of socket) {
      words += chunk;
      if (words.length > MAX_WORDS) break;
    }
  } catch {
    // It is held all the same.
  }
  return words.replace(/[^\x20-\x7e]/g, "").slice(0, MAX_WORDS) || "somebody who does not say who it is";
}
