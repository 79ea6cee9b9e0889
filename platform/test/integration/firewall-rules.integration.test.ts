import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  everything,
  isOurs,
  linesAbout,
  replaceRestore,
  startFirewallMachine,
  TABLES,
  TOOLS,
  type FirewallMachine,
  type Tool,
} from "../support/firewall-machine.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { waitUntil } from "../support/wait-until.ts";

const chainOf = async (machine: FirewallMachine) =>
  (await machine.rules())
    .find((line) => line.startsWith("-N SANDBOX-"))
    ?.split(" ")
    .at(1) ?? "";
const jumpsIn = async (machine: FirewallMachine) =>
  (await machine.rules()).filter((line) => /^-A [A-Z-]+ .*-j SANDBOX-/.test(line)).map((line) => line.split(" ")[1]);

describe.each(TOOLS)("with rules set by %s", (tool) => {
  test("our rules come before all others, which stay as they are", async () => {
    const machine = await startFirewallMachine(tool);
    const before = await everything(machine);
    await machine.keep();
    expect((await everything(machine)).filter((line) => !isOurs(line))).toEqual(before);
    const [rules, mangle] = [await machine.rules(), await machine.rules("mangle")];
    expect(mangle.find((line) => line.startsWith("-A POSTROUTING "))).toContain(`-j ${await chainOf(machine)}`);
    for (const from of ["INPUT", "DOCKER-USER"])
      expect(rules.find((line) => line.startsWith(`-A ${from} `))).toContain(`-j ${await chainOf(machine)}`);
    const other: Tool = tool === "iptables-nft" ? "iptables-legacy" : "iptables-nft";
    if (!TOOLS.includes(other)) return;
    expect((await everything(machine, other)).filter(isOurs)).toEqual([]);
  });

  test("a rule of ours that goes missing is put back and logged, and rules of others stay as they are", async () => {
    const machine = await startFirewallMachine(tool);
    await machine.keep();
    const whole = await everything(machine);
    const chain = await chainOf(machine);
    const jumpTo = (target: string) => ["-m", "comment", "--comment", `sandbox ${machine.instance}`, "-j", target];
    const jump = jumpTo(chain);
    const damages: string[][][] = [
      [["-D", "INPUT", ...jump]],
      [["-D", "DOCKER-USER", ...jump]],
      [["-F", chain]],
      [["-D", chain, "1"]],
      [["-I", chain, "-j", "ACCEPT"]],
      [["-t", "mangle", "-D", "POSTROUTING", ...jump]],
      [["-t", "mangle", "-F"]],
      [["-F", `${chain}-within`]],
      [["-t", "nat", "-D", "POSTROUTING", ...jump]],
      [["-t", "nat", "-F", chain]],
      [["-t", "nat", "-D", "PREROUTING", ...jumpTo(`${chain}-in`)]],
      [["-t", "nat", "-F", `${chain}-in`]],
      [
        ["-D", "INPUT", ...jump],
        ["-D", "DOCKER-USER", ...jump],
        ["-F", chain],
        ["-X", chain],
      ],
    ];
    for (const [index, damage] of damages.entries()) {
      for (const command of damage) await machine.iptables(...command);
      await waitUntil("the log line", () => linesAbout(machine, "rules put back").length === index + 1);
      expect((await everything(machine)).toSorted()).toEqual(whole.toSorted());
    }
    expect(linesAbout(machine, "rules put back")[0]).toMatch(
      /^\d{4}-.*Z rules put back; missing: -A INPUT .*-j SANDBOX-/,
    );
  });

  test("our jump comes first again when another rule is put before it, which is logged and kept", async () => {
    const machine = await startFirewallMachine(tool);
    await machine.keep();
    const places: ["filter" | "mangle", string][] = [
      ["filter", "INPUT"],
      ["filter", "DOCKER-USER"],
      ["mangle", "POSTROUTING"],
    ];
    for (const [index, [table, from]] of places.entries()) {
      const rulesThere = async () => (await machine.rules(table)).filter((line) => line.startsWith(`-A ${from} `));
      const before = await rulesThere();
      await machine.iptables("-t", table, "-I", from, "-j", "ACCEPT");
      await waitUntil("the log line", () => linesAbout(machine, "rules put back").length === index + 1);
      expect(await rulesThere()).toEqual([before[0], `-A ${from} -j ACCEPT`, ...before.slice(1)]);
      expect(linesAbout(machine, "rules put back")[index]).toMatch(
        new RegExp(`missing: (mangle )?-A ${from} .*-j SANDBOX-\\w+, before all others$`),
      );
    }
  });

  test("a rule that Docker puts before ours for a new network stays there", async () => {
    const machine = await startFirewallMachine(tool);
    await machine.keep();
    const ofDocker = ["-s", "172.17.0.0/16", "!", "-o", "docker0", "-j", "MASQUERADE"];
    await machine.iptables("-t", "nat", "-I", "POSTROUTING", ...ofDocker);
    // Noticed at the same check.
    await machine.iptables("-F", await chainOf(machine));
    await waitUntil("the log line", () => linesAbout(machine, "rules put back").length === 1);
    expect(linesAbout(machine, "rules put back")[0]).not.toContain("nat ");
    expect(await machine.script("check")).toBe("");
  });

  test("jumps of two instances stay side by side, without moving in turns", async () => {
    const machine = await startFirewallMachine(tool);
    await machine.keep();
    const [own, another] = [await chainOf(machine), "SANDBOX-0123456789ab"];
    await machine.iptables("-N", another);
    await machine.iptables("-I", "INPUT", "-j", another);
    // Noticed at a later check than the other instance's jump would have been.
    await machine.iptables("-F", own);
    await waitUntil("the log line", () => linesAbout(machine, "rules put back").length === 1);
    expect(linesAbout(machine, "rules put back")[0]).not.toContain("before all others");
    expect(await machine.script("check")).toBe("");
  });

  test("after a flush our jump goes from FORWARD, until Docker's own jump is back", async () => {
    const machine = await startFirewallMachine(tool);
    await machine.keep();
    await machine.iptables("-F");
    await waitUntil("our jumps", async () => (await jumpsIn(machine)).length === 2);
    expect(await jumpsIn(machine)).toEqual(["INPUT", "FORWARD"]);

    // As Docker does at its next start.
    await machine.iptables("-I", "FORWARD", "-j", "DOCKER-USER");
    await waitUntil("our jump in Docker's chain", async () => (await jumpsIn(machine)).includes("DOCKER-USER"));
    await waitUntil("no more than needed", async () => (await jumpsIn(machine)).length === 2);
    expect(await jumpsIn(machine)).toEqual(["INPUT", "DOCKER-USER"]);
  });

  test("the rules stay after a stop, and down leaves the machine as it was before them", async () => {
    const machine = await startFirewallMachine(tool);
    const before = await everything(machine);
    await machine.keep();
    expect(await machine.stopKeeping()).toBe("SIGTERM");
    for (const table of TABLES) expect((await machine.rules(table)).filter(isOurs)).not.toEqual([]);
    await machine.script("down");
    expect(await everything(machine)).toEqual(before);
    await machine.script("down");
  });
});

test("clouds' metadata services are refused at each of their addresses, for every protocol", async () => {
  const machine = await startFirewallMachine("iptables-nft");
  await machine.keep();
  const rules = (await machine.rules()).filter((line) => line.includes("-j REJECT"));
  for (const place of ["169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"])
    expect(rules.filter((line) => line.includes(` -d ${place} `))).toEqual([
      expect.stringContaining("-p tcp -j REJECT --reject-with tcp-reset"),
      expect.not.stringContaining("-p "),
    ]);
});

test("resolvers in FIREWALL_RESOLVERS are let through on port 53 alone", async () => {
  const machine = await startFirewallMachine("iptables-nft", { FIREWALL_RESOLVERS: "169.254.169.254 127.0.0.53" });
  await machine.keep();
  const returns = (await machine.rules()).filter((line) => line.includes("-d ") && line.endsWith("-j RETURN"));
  expect(returns.filter((line) => line.includes("169.254.169.254"))).toEqual([
    expect.stringContaining("-p udp -m udp --dport 53"),
    expect.stringContaining("-p tcp -m tcp --dport 53"),
  ]);
  expect(returns.filter((line) => line.includes("127.0.0."))).toEqual([]);
});

test("rules that cannot be set are logged once, and set as soon as possible", async () => {
  const folder = await temporaryFolder();
  const [tries, allowed] = [join(folder, "tries"), join(folder, "allowed")];
  const error = "the kernel is out of memory";
  const script = `[ ! -e ${allowed} ] || exec "$REAL" "$@"\necho >>${tries}\necho "${error}" >&2\nexit 1`;
  const machine = await startFirewallMachine("iptables-nft", await replaceRestore(folder, script));
  machine.startKeeping();
  await waitUntil("some tries", async () => (await readFile(tries, "utf8")).length >= 3);
  expect((await machine.rules()).filter(isOurs)).toEqual([]);
  await writeFile(allowed, "");
  await waitUntil("the rules", () => linesAbout(machine, "rules set").length === 1);
  expect(linesAbout(machine, "cannot set the rules")).toEqual([expect.stringContaining(error)]);
});
