import { execFile, spawn, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");
const KEPT_OUTPUT = 200_000;

/** One way to run the API under test. */
export type ApiRunner = {
  start(extra: Record<string, string>): Promise<void>;
  /** Ends it and returns its exit code, null when it was killed or did not run. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
  /** Throws with its last words when it is not running. */
  assertRunning(): Promise<void>;
  /** The signal that ended it; null while it runs, and when it ended by itself. */
  endedBy(): NodeJS.Signals | null;
  /** Its process on this machine; null when it has none of its own. */
  pid(): number | null;
  /** What it printed so far. */
  output(): string;
};

type Variables = Record<string, string | undefined>;

/** What `npm start` hands to Node. */
const FLAGS = ["--max-semi-space-size=2", "--heap-growing-percent=20"];
const COMPILE_CACHE = join(ROOT, ".cache/node");

/** The API as a process of this machine, with the same Node that runs the tests and the flags of `npm start`. */
export function processRunner(environment: Variables): ApiRunner {
  let child: ChildProcess | null = null;
  let output = "";
  return {
    async start(extra) {
      const started = spawn(process.execPath, [...FLAGS, join(ROOT, "platform/main.ts")], {
        cwd: ROOT,
        env: { ...environment, NODE_COMPILE_CACHE: COMPILE_CACHE, ...extra },
        stdio: ["ignore", "pipe", "pipe"],
      });
      for (const stream of [started.stdout, started.stderr]) {
        stream.on("data", (chunk: Buffer) => void (output = (output + chunk.toString()).slice(-KEPT_OUTPUT)));
      }
      child = started;
    },
    async stop(signal) {
      const stopping = child;
      child = null;
      if (stopping === null || stopping.exitCode !== null || stopping.signalCode !== null)
        return stopping?.exitCode ?? null;
      const ended = new Promise<number | null>((done) => stopping.once("exit", (code) => done(code)));
      stopping.kill(signal);
      return ended;
    },
    async assertRunning() {
      if (child === null || child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the API exited with ${child?.exitCode ?? child?.signalCode}: ${output.slice(-2000)}`);
    },
    endedBy: () => child?.signalCode ?? null,
    pid: () => child?.pid ?? null,
    output: () => output,
  };
}

/** The API in its container, from the compose file, as `make up` runs it. */
export function containerRunner(
  container: string,
  compose: (args: string[], extra: Record<string, string>) => Promise<unknown>,
): ApiRunner {
  let output = "";
  let pid: number | null = null;
  return {
    async start(extra) {
      await compose(["up", "-d", "api"], extra);
      // Where the kernel does not tell of children, it is only not known.
      pid = await waitUntil("the API's process", () => childOfInit(container), 5_000).catch(() => null);
    },
    async stop(signal) {
      pid = null;
      const state = await run("docker", ["inspect", "-f", "{{.State.Running}}", container]).catch(() => ({
        stdout: "false",
      }));
      if (state.stdout.trim() !== "true") return null;
      await (signal === "SIGKILL"
        ? run("docker", ["kill", "-s", "KILL", container])
        : run("docker", ["stop", "--time", "35", container]));
      const { stdout } = await run("docker", ["inspect", "-f", "{{.State.ExitCode}}", container]);
      output = (await run("docker", ["logs", "--tail", "2000", container])).stdout.slice(-KEPT_OUTPUT);
      return signal === "SIGKILL" ? null : Number(stdout.trim());
    },
    async assertRunning() {
      const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Status}}", container]);
      if (stdout.trim() === "running") return;
      const { stderr, stdout: said } = await run("docker", ["logs", "--tail", "20", container]);
      throw new Error(`the API's container is ${stdout.trim()}: ${said}${stderr}`);
    },
    endedBy: () => null,
    pid: () => pid,
    output: () => output,
  };
}

/** The process that a container with `init: true` is for; null while there is none. */
async function childOfInit(container: string): Promise<number | null> {
  const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Pid}}", container]);
  const init = stdout.trim();
  return Number((await readFile(`/proc/${init}/task/${init}/children`, "utf8")).split(" ")[0]) || null;
}
