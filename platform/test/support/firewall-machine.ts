import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { endProcess, startNamespace, type NetworkNamespace } from "./network-namespace.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { waitUntil } from "./wait-until.ts";

const SCRIPT = resolve(import.meta.dirname, "../../../scripts/firewall/firewall.sh");

/** Where Docker has its rules: the two kinds of iptables. */
export type Tool = "iptables-nft" | "iptables-legacy";

/** A kernel may have been built without the older of the two. */
const hasLegacy = spawnSync("unshare", ["--net", "iptables-legacy", "-S"]).status === 0;
export const TOOLS: readonly Tool[] = hasLegacy ? ["iptables-nft", "iptables-legacy"] : ["iptables-nft"];

/** The tables that have rules of ours. */
export const TABLES = ["filter", "mangle", "nat"] as const;
type Table = (typeof TABLES)[number];

/** A machine for firewalls: a network namespace with rules as Docker sets them, and nobody else who changes any. */
export type FirewallMachine = {
  readonly instance: string;
  readonly namespace: NetworkNamespace;
  /** What stands in a table, the filter table unless told, line by line. */
  rules(table?: Table, tool?: Tool): Promise<string[]>;
  iptables(...args: string[]): Promise<void>;
  /** Starts the script's `keep`. */
  startKeeping(): void;
  /** The same, and waits until it says that the rules are set. */
  keep(): Promise<void>;
  /** Ends it, as Docker does, and returns its signal. */
  stopKeeping(): Promise<NodeJS.Signals | null>;
  /** What `keep` printed so far. */
  output(): string;
  /** What the script's other verbs print. */
  script(verb: string): Promise<string>;
};

/** `settings` are for the script. */
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
  // And somebody's who has nothing to do with us.
  for (const chain of ["INPUT", "DOCKER-USER"]) await machine.iptables("-I", chain, "-s", "203.0.113.7", "-j", "DROP");
  return machine;
}

/** What stands in all of its tables. */
export async function everything(machine: FirewallMachine, tool?: Tool): Promise<string[]> {
  return (await Promise.all(TABLES.map((table) => machine.rules(table, tool)))).flat();
}

/** What `keep` printed with these words in it, line by line. */
export function linesAbout(machine: FirewallMachine, words: string): string[] {
  return machine
    .output()
    .split("\n")
    .filter((line) => line.includes(words));
}
