import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);

/** A Docker daemon of one test, which may be stopped. */
export type SecondEngine = {
  socket: string;
  start(): Promise<void>;
  /** Ends the daemon and every container, as the end of the machine does. */
  stop(): Promise<void>;
};

/**
 * A daemon with all its files below `folder`, for a process in network and mount namespaces of its own (unshare, see
 * reboot.integration.test.ts): the daemon's bridges, rules and mounts are then apart, and end with the process.
 */
export async function createSecondEngine(folder: string): Promise<SecondEngine> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, "daemon.json");
  await writeFile(config, "{}");
  const socket = join(folder, "docker.sock");
  const options = {
    "config-file": config,
    "data-root": join(folder, "data"),
    "exec-root": join(folder, "exec"),
    pidfile: join(folder, "docker.pid"),
    host: `unix://${socket}`,
    bridge: "none",
    "shutdown-timeout": "5",
  };
  let daemon: ChildProcess | null = null;
  let output = "";

  return {
    socket,
    async start() {
      const started = spawn(
        "dockerd",
        Object.entries(options).map(([name, value]) => `--${name}=${value}`),
        {
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      started.stderr.on("data", (chunk: Buffer) => void (output = (output + chunk.toString()).slice(-4000)));
      daemon = started;
      await waitUntil(
        "the second engine",
        () => run("docker", ["--host", `unix://${socket}`, "version"]),
        60_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message}\n${output}`);
      });
    },
    async stop() {
      if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return;
      const ended = once(daemon, "exit");
      daemon.kill("SIGTERM");
      await ended;
    },
  };
}
