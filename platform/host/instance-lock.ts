import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { errnoOf } from "../kernel/atomic-file.ts";

/** How long the holder of a lock may take to send its description, in milliseconds. */
const DESCRIPTION_LIMIT_MS = 1_000;
const MAX_DESCRIPTION = 200;

/** A lock that is held until its release or the end of the process. */
export type ExclusiveLock = { release(): Promise<void> };

/**
 * Takes the machine's lock of that name, or returns its holder's description. `description`: one line about this process.
 * The lock is an abstract Unix socket (unix(7)). It belongs to the network namespace, so a container on the host's network
 * and a process of the host share it, whatever their folders and process ids. The kernel frees it with the process, so
 * neither SIGKILL nor a reboot leaves it stale.
 */
export async function takeExclusiveLock(
  name: string,
  description: string,
): Promise<{ lock: ExclusiveLock } | { holder: string }> {
  const address = `\0${name}`;
  const server = createServer((socket) => {
    socket.on("error", () => {}); // the other process is gone
    socket.end(description).destroySoon(); // it may never close its side
  });
  server.listen(address);
  try {
    await once(server, "listening");
  } catch (error) {
    if (errnoOf(error) !== "EADDRINUSE") throw error;
    return { holder: await readDescription(address) };
  }
  server.unref();
  return { lock: { release: () => close(server) } };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Any process of this machine may hold a socket of that name, so its answer is cut to one short line. */
async function readDescription(address: string): Promise<string> {
  const socket = connect(address);
  socket.setTimeout(DESCRIPTION_LIMIT_MS, () => socket.destroy());
  socket.setEncoding("utf8");
  let description = "";
  try {
    for await (const chunk of socket) {
      description += chunk;
      if (description.length > MAX_DESCRIPTION) break;
    }
  } catch {
    // The lock is held all the same.
  }
  return (
    description.replace(/[^\x20-\x7e]/g, "").slice(0, MAX_DESCRIPTION) || "a process that does not describe itself"
  );
}
