import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);

/** A network of its own, which for routing and firewalls is another machine. It ends with the test. */
export type NetworkNamespace = {
  /** Of the process that holds it. */
  readonly pid: number;
  /** What runs a command in it, when put before that. */
  readonly within: readonly string[];
  run(command: readonly string[], env?: NodeJS.ProcessEnv): Promise<string>;
};

/** `held` is the command that the namespace is made for and lasts as long as. */
export async function startNamespace(held: readonly string[] = ["sleep", "infinity"]): Promise<NetworkNamespace> {
  const holder = spawn("unshare", ["--net", ...held], { stdio: "ignore" });
  onTestFinished(() => endProcess(holder));
  const within = ["nsenter", "-t", String(holder.pid), "-n"];
  const namespace: NetworkNamespace = {
    pid: holder.pid ?? 0,
    within,
    run: async (command, env = process.env) =>
      (await run(within[0] ?? "", [...within.slice(1), ...command], { env })).stdout,
  };
  const own = ["readlink", "/proc/self/ns/net"] as const;
  const here = (await run(own[0], own.slice(1))).stdout;
  // Before it is there, its commands would work on this machine's rules.
  await waitUntil("the namespace", async () => (await namespace.run(own)) !== here, 5_000, 5);
  return namespace;
}

export async function endProcess(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = once(process, "exit");
  process.kill("SIGTERM");
  await ended;
}
