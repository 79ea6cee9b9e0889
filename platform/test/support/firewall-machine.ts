import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { endProcess, startNamespace, type NetworkNamespace } from "./network-namespace.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { waitUntil } from "./wait-until.ts";

const SCRIPT = resolve(import.meta.dirname, "../../../scripts/firewall/firewall.sh");

/** The two kinds of iptables: Docker has its rules in the place of one of them. */
export type Tool = "iptables-nft" | "iptables-legacy";

/** A kernel may have been built without the older of the two. */
const hasLegacy = spawnSync("unshare", ["--net", "iptables-legacy", "-S"]).status === 0;
export const TOOLS: readonly Tool[] = hasLegacy ? ["iptables-nft", "iptables-legacy"] : ["iptables-nft"];

/** The tables with rules of ours. */
export const TABLES = ["filter", "mangle", "nat"] as const;
type Table = (typeof TABLES)[number];

/** A machine for a firewall: a network namespace with rules as Docker sets them, in which only the test changes any. */
export type FirewallMachine = {
  readonly instance: string;
  readonly namespace: NetworkNamespace;
  /** The lines of a table, `filter` by default. */
  rules(table?: Table, tool?: Tool): Promise<string[]>;
  iptables(...args: string[]): Promise<void>;
  /** Starts the script's `keep`. */
  startKeeping(): void;
  /** Starts `keep` and waits until the rules stand. */
  keep(): Promise<void>;
  /** Ends `keep` as Docker does, and returns its signal. */
  stopKeeping(): Promise<NodeJS.Signals | null>;
  /** What `keep` has printed so far. */
  output(): string;
  /** Runs another verb of the script and returns its output. */
  script(verb: string): Promise<string>;
};

/** Makes the machine; `settings` are the script's environment. */
export async function startFirewallMachine(
  tool: Tool = "iptables-nft",
  settings: Record<string, string> = {},
): Promise<FirewallMachine> {
  const folder = await temporaryFolder();
  const namespace = await startNamespace();
  const instance = "sandbox-played";
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    INSTANCE: instance,
    FIREWALL_STATE: join(folder, "state"),
    FIREWALL_CHECK_EVERY: "0.2",
    ...settings,
  };
  let keeper: ChildProcess | null = null;
  let output = "";

  const inside = (...command: string[]): Promise<string> => namespace.run(command, environment);

  const machine: FirewallMachine = {
    instance,
    namespace,
    rules: async (table = "filter", asked = tool) => (await inside(asked, "-t", table, "-S")).trim().split("\n"),
    iptables: async (...args) => void (await inside(tool, ...args)),
    startKeeping() {
      const options = { env: environment, stdio: ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"] };
      const [command = "", ...args] = [...namespace.within, "bash", SCRIPT, "keep"];
      const started = spawn(command, args, options);
      onTestFinished(() => endProcess(started));
      for (const stream of [started.stdout, started.stderr])
        stream.on("data", (chunk: Buffer) => void (output += chunk.toString()));
      keeper = started;
    },
    async keep() {
      machine.startKeeping();
      await waitUntil("the rules", () => inside("bash", SCRIPT, "check").then(() => true), 10_000, 50);
    },
    async stopKeeping() {
      if (keeper !== null) await endProcess(keeper);
      return keeper?.signalCode ?? null;
    },
    output: () => output,
    script: (verb) => inside("bash", SCRIPT, verb),
  };
  for (const chain of ["DOCKER", "DOCKER-USER"]) await machine.iptables("-N", chain);
  await machine.iptables("-A", "DOCKER-USER", "-j", "RETURN");
  await machine.iptables("-A", "FORWARD", "-j", "DOCKER-USER");
  await machine.iptables("-A", "FORWARD", "-o", "br-any", "-j", "DOCKER");
  // A rule of the machine's owner.
  for (const chain of ["INPUT", "DOCKER-USER"]) await machine.iptables("-I", chain, "-s", "203.0.113.7", "-j", "DROP");
  return machine;
}

/** Whether a line is a rule or a chain of an instance of the platform. */
export const isOurs = (line: string) => line.includes("SANDBOX-");

/**
 * Settings that put a shell script in place of iptables-nft-restore, to record or to refuse what is restored. In the
 * script "$REAL" is the real command. The files go into `folder`.
 */
export async function replaceRestore(folder: string, script: string): Promise<Record<string, string>> {
  const real = (await promisify(execFile)("which", ["iptables-nft"])).stdout.trim();
  const commands = {
    "iptables-nft": `exec ${real} "$@"`,
    "iptables-nft-restore": `REAL=${real}-restore\n${script}`,
  };
  for (const [name, lines] of Object.entries(commands))
    await writeFile(join(folder, name), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  return { PATH: `${folder}:${process.env["PATH"]}` };
}

/** The lines of all tables. */
export async function everything(machine: FirewallMachine, tool?: Tool): Promise<string[]> {
  return (await Promise.all(TABLES.map((table) => machine.rules(table, tool)))).flat();
}

/** The lines that `keep` has printed with these words in them. */
export function linesAbout(machine: FirewallMachine, words: string): string[] {
  return machine
    .output()
    .split("\n")
    .filter((line) => line.includes(words));
}
