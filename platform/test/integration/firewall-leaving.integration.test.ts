import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { describePlatform } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import {
  everything,
  linesAbout,
  startFirewallMachine,
  TOOLS,
  type FirewallMachine,
  type Tool,
} from "../support/firewall-machine.ts";
import { addNetwork } from "../support/firewall-networks.ts";
import { endProcess } from "../support/network-namespace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");

/** Two bridges with addresses of the pool's, and one with somebody else's. */
const [LEAVING, STAYING, FOREIGN] = ["br-0123456789ab", "br-ba9876543210", "br-00ff00ff00ff"] as const;
/** The same pool's, and no bridges of Docker's: one has another kind of name, the other's is a pattern for the second. */
const [OTHER, PATTERN] = ["virbr7", "br-ba98765432.."] as const;

/** What Docker 20.10 sets for a network that does without its masquerading. */
const rulesOfDocker = (bridge: string): string[][] => [
  ["FORWARD", "-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
  ["FORWARD", "-o", bridge, "-j", "DOCKER"],
  ["FORWARD", "-i", bridge, "!", "-o", bridge, "-j", "ACCEPT"],
  ["FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"],
  ["DOCKER-ISOLATION-STAGE-1", "-i", bridge, "!", "-o", bridge, "-j", "DOCKER-ISOLATION-STAGE-2"],
  ["DOCKER-ISOLATION-STAGE-2", "-o", bridge, "-j", "DROP"],
];

async function startMachine(tool: Tool, settings: Record<string, string> = {}): Promise<FirewallMachine> {
  const machine = await startFirewallMachine(tool, settings);
  for (const chain of ["DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"]) await machine.iptables("-N", chain);
  const bases = {
    [LEAVING]: "10.172.0.0",
    [STAYING]: "10.172.0.16",
    [FOREIGN]: "10.99.0.0",
    [OTHER]: "10.172.0.32",
    [PATTERN]: "10.172.0.48",
  };
  for (const [bridge, base] of Object.entries(bases)) {
    await addNetwork(machine, bridge, base);
    for (const rule of rulesOfDocker(bridge)) await machine.iptables("-A", ...rule);
  }
  return machine;
}

const isAbout = (bridge: string) => (line: string) => line.includes(` ${bridge}`);
const countAbout = async (machine: FirewallMachine, bridge: string) =>
  (await machine.rules()).filter(isAbout(bridge)).length;
const areGone = (machine: FirewallMachine, bridge: string, but = 0) =>
  waitUntil("its rules to be gone", async () => (await countAbout(machine, bridge)) === but, 10_000, 20);

describe.each(TOOLS)("where Docker's rules are set with %s", (tool) => {
  test("those about a bridge are taken away when that is asked, and nobody else's", async () => {
    const machine = await startMachine(tool);
    // The machine's owner has a word on it as well.
    const owners = [
      ["DOCKER-USER", "-i", LEAVING, "-j", "DROP"],
      ["FORWARD", "-i", LEAVING, "-d", "203.0.113.8", "-j", "DROP"],
      ["FORWARD", "-o", LEAVING, "-p", "udp", "-j", "DROP"],
      ["FORWARD", "-o", LEAVING, "-m", "comment", "--comment", "the owner's", "-j", "ACCEPT"],
    ];
    for (const rule of owners) await machine.iptables("-A", ...rule);
    await machine.keep();
    const before = await everything(machine);
    const count = await countAbout(machine, LEAVING);
    await writeFile(machine.pipe, `${LEAVING}\n`);
    await areGone(machine, LEAVING, owners.length);
    expect(count - owners.length).toBe(rulesOfDocker(LEAVING).length);
    const kept = before.filter((line) => !isAbout(LEAVING)(line) || /DOCKER-USER| -d | -p |--comment/.test(line));
    expect(await everything(machine)).toEqual(kept);
    expect(await machine.script("check")).toBe("");
  });

  test("nothing else is done, whatever is asked", async () => {
    const machine = await startMachine(tool);
    await machine.keep();
    const before = await everything(machine);
    const nonsense = [
      FOREIGN,
      OTHER,
      PATTERN,
      "",
      "docker0",
      "*",
      "br-",
      "br-ffffffffffff",
      `${STAYING} -j`,
      "lo",
      `x${STAYING}`,
    ];
    const attacks = [`${STAYING}; iptables -F`, `$(iptables -F)`, "-A FORWARD -j ACCEPT", "\u0000", "x".repeat(3_000)];
    await writeFile(machine.pipe, [...nonsense, ...attacks, LEAVING, ""].join("\n"));
    await areGone(machine, LEAVING);
    expect(await everything(machine)).toEqual(before.filter((line) => !isAbout(LEAVING)(line)));
    expect(await machine.script("check")).toBe("");
  });
});

test("all rules about a bridge go in one transaction", async () => {
  const folder = await temporaryFolder();
  const told = join(folder, "told");
  const real = (await run("which", ["iptables-nft"])).stdout.trim();
  const commands = {
    "iptables-nft": `exec ${real} "$@"`,
    "iptables-nft-restore": `tee -a ${told} | ${real}-restore "$@"`,
  };
  for (const [name, does] of Object.entries(commands))
    await writeFile(join(folder, name), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  const machine = await startMachine("iptables-nft", { PATH: `${folder}:${process.env["PATH"]}` });
  await machine.keep();
  await writeFile(told, "");
  await writeFile(machine.pipe, `${LEAVING}\n`);
  await areGone(machine, LEAVING);
  const transactions = (await readFile(told, "utf8")).split("COMMIT\n").filter((text) => text.includes(LEAVING));
  expect(transactions.map((text) => text.trim().split("\n").length)).toEqual([1 + rulesOfDocker(LEAVING).length]);
});

test("the firewall looks after its own rules in time, however much it is asked", async () => {
  const machine = await startMachine("iptables-nft");
  await machine.keep();
  const flood = spawn("sh", ["-c", `while :; do echo br-ffffffffffff; done >${machine.pipe}`], { stdio: "ignore" });
  onTestFinished(() => endProcess(flood));
  await waitUntil("a full pipe", () => isFull(machine.pipe));
  await machine.iptables("-F", "INPUT");
  await waitUntil("the rules", () => machine.output().includes("rules put back"));
  await endProcess(flood);
});

async function isFull(pipe: string): Promise<boolean> {
  return run("dd", ["if=/dev/zero", `of=${pipe}`, "bs=4096", "count=1", "oflag=nonblock,append", "conv=notrunc"]).then(
    () => false,
    () => true,
  );
}

test.each([
  ["a file", (place: string) => writeFile(place, "somebody's\n")],
  ["a folder", (place: string) => mkdir(join(place, "within"), { recursive: true })],
  ["a pipe that is everybody's", (place: string) => run("mkfifo", ["-m", "666", place])],
])("the pipe is root's alone, where %s was in its place as well", async (_, place) => {
  const folder = await temporaryFolder();
  await place(join(folder, "leaving"));
  const machine = await startMachine("iptables-nft", { FIREWALL_STATE: join(folder, "state") });
  await machine.keep();
  const found = await stat(machine.pipe);
  expect({ isPipe: found.isFIFO(), mode: found.mode & 0o777, owner: found.uid }).toEqual({
    isPipe: true,
    mode: 0o600,
    owner: process.getuid?.(),
  });
});

test("a pipe that somebody removes is made anew", async () => {
  const machine = await startMachine("iptables-nft");
  await machine.keep();
  await rm(machine.pipe);
  await waitUntil("another pipe", async () => (await stat(machine.pipe)).isFIFO());
  await writeFile(machine.pipe, `${LEAVING}\n`);
  await areGone(machine, LEAVING);
});

test("without a pipe the rules are kept all the same, and that is said once", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "mkfifo"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const machine = await startMachine("iptables-nft", { PATH: `${folder}:${process.env["PATH"]}` });
  await machine.keep();
  await machine.iptables("-F", "INPUT");
  await waitUntil("the rules", () => machine.output().includes("rules put back"));
  expect(linesAbout(machine, "cannot make")).toHaveLength(1);
});

describePlatform(
  "an environment that is destroyed",
  {},
  (platform) => {
    const pipe = () => join(ROOT, ".cache/firewall", platform.instance.name, "leaving");
    const bridgeOf = async (network: string) =>
      `br-${(await docker("network", "inspect", "-f", "{{.Id}}", network)).slice(0, 12)}`;
    const countRules = async (bridge: string) =>
      (await run("iptables", ["-w", "-S"])).stdout.split("\n").filter(isAbout(bridge)).length;

    test("has the firewall take away the rules about its network", async () => {
      const { id, network } = await platform.createDemo();
      const bridge = await bridgeOf(network);
      // In its place, so that it is seen what the API asks for.
      await docker("stop", `${platform.instance.name}-firewall`);
      try {
        const reader = spawn("head", ["-n", "1", pipe()], { stdio: ["ignore", "pipe", "ignore"] });
        onTestFinished(() => endProcess(reader));
        const ended = once(reader, "close");
        let asked = "";
        reader.stdout.on("data", (chunk: Buffer) => void (asked += chunk.toString()));
        expect(await platform.api.destroy(id)).toMatchObject({ status: 200 });
        await ended;
        expect(asked).toBe(`${bridge}\n`);
      } finally {
        await docker("start", `${platform.instance.name}-firewall`);
      }
    });

    test("is destroyed as well while the firewall's container is paused", async () => {
      const { id } = await platform.createDemo();
      await docker("pause", `${platform.instance.name}-firewall`);
      try {
        expect(await platform.api.destroy(id)).toMatchObject({ status: 200 });
      } finally {
        await docker("unpause", `${platform.instance.name}-firewall`);
      }
    });

    test("is one whose network Docker removes as well without its rules, the others' standing", async () => {
      const [first, second] = [await platform.createDemo(), await platform.createDemo()];
      const [leaving, staying] = [await bridgeOf(first.network), await bridgeOf(second.network)];
      const before = await countRules(staying);
      expect([await countRules(leaving), before]).toEqual([before, expect.toSatisfy((count: number) => count > 0)]);
      await writeFile(pipe(), `${leaving}\n`);
      await waitUntil("its rules to be gone", async () => (await countRules(leaving)) === 0);
      expect(await countRules(staying)).toBe(before);
      expect(await platform.api.destroy(first.id)).toMatchObject({ status: 200 });
      await expect(docker("network", "inspect", first.network)).rejects.toThrow(/not found|No such/i);
    });
  },
  ["process", "filtered container"],
);
