import { execFile, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { startFirewallMachine, type Tool } from "../support/firewall-machine.ts";
import { addNetwork, appearanceTo, tryFrom } from "../support/firewall-networks.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);

/** A kernel may have been built without the older of the two. */
const hasLegacy = spawnSync("unshare", ["--net", "iptables-legacy", "-S"]).status === 0;
const TOOLS: Tool[] = hasLegacy ? ["iptables-nft", "iptables-legacy"] : ["iptables-nft"];

const MATCH = "--physdev-is-bridged";
const isOurs = (line: string) => line.includes("SANDBOX-");

// Docker takes its jumps in FORWARD away and puts them back whenever a network comes: here it is stopped in between.
describe.each(TOOLS)("while Docker's rules are out of the way, set with %s", (tool) => {
  test("an environment reaches itself and the world, and no other environment, front door or metadata", async () => {
    const machine = await startFirewallMachine(tool);
    const [own = [], others, front, metadata, world] = [
      await addNetwork(machine, "br-own", "10.172.0.0", 2, 3),
      await addNetwork(machine, "br-other", "10.172.0.16", 2, 3),
      await addNetwork(machine, "br-front", "10.171.0.0", 2),
      await addNetwork(machine, "br-cloud", "169.254.169.240", 14),
      await addNetwork(machine, "br-world", "198.18.0.0", 2),
    ];
    const [nginx, app] = own;
    if (nginx === undefined || app === undefined) throw new Error("nobody there");
    const forbidden = [...others, ...front, ...metadata];
    const all = [nginx, ...world, ...forbidden];
    const open = [nginx, ...world].map(() => "connected");
    const isolation = "DOCKER-ISOLATION-STAGE-1";
    await machine.iptables("-N", isolation);
    await machine.iptables("-A", isolation, "-s", "10.172.0.0/28", "-d", "10.172.0.16/28", "-j", "DROP");
    await machine.iptables("-I", "FORWARD", "-j", isolation);
    expect(await tryFrom(app, others)).toEqual(["timeout", "timeout"]);
    await machine.iptables("-D", "FORWARD", "-j", isolation);
    expect(await tryFrom(app, all)).toEqual(all.map(() => "connected"));

    await machine.keep();
    expect(await tryFrom(app, all)).toEqual([...open, "timeout", "timeout", "timeout", "ECONNREFUSED"]);
    expect(await tryFrom(nginx, [app])).toEqual(["connected"]);
    // Nobody there to notice that the other jump is gone, too.
    await machine.stopKeeping();
    await machine.iptables("-D", "FORWARD", "-j", "DOCKER-USER");
    expect(await tryFrom(app, all)).toEqual([...open, ...forbidden.map(() => "timeout")]);
    expect(await tryFrom(machine.namespace, [...own, ...others])).toEqual(Array(4).fill("connected"));
  });
});

test.each(TOOLS)("the world sees the machine, and an environment's own see each other, set with %s", async (tool) => {
  const machine = await startFirewallMachine(tool);
  const [nginx, app] = await addNetwork(machine, "br-own", "10.172.0.0", 2, 3);
  const [world] = await addNetwork(machine, "br-world", "198.18.0.0", 2);
  if (nginx === undefined || app === undefined || world === undefined) throw new Error("nobody there");
  expect(await appearanceTo(app, [world])).toEqual([app.address]);
  await machine.keep();
  expect(await appearanceTo(app, [world, nginx])).toEqual(["198.18.0.1", app.address]);
  // Who is none of the environments is none of our business.
  expect(await appearanceTo(world, [app])).toEqual([world.address]);
});

test.each(TOOLS)(
  "Docker's rules see all that leaves a network, and of what stays its first packet, set with %s",
  async (tool) => {
    const machine = await startFirewallMachine(tool);
    const [nginx, app] = await addNetwork(machine, "br-own", "10.172.0.0", 2, 3);
    const [world] = await addNetwork(machine, "br-world", "198.18.0.0", 2);
    if (app === undefined || nginx === undefined || world === undefined) throw new Error("nobody there");
    await machine.keep();
    // A rule that does nothing but count.
    await machine.iptables("-A", "FORWARD", "-p", "tcp");
    const seen = async () =>
      Number(/ -p tcp -c (\d+) /.exec(await machine.namespace.run([tool, "-v", "-S", "FORWARD"]))?.[1]);

    expect(await appearanceTo(nginx, [app])).toEqual([nginx.address]);
    expect(await seen()).toBe(1);
    expect(await appearanceTo(app, [world])).toEqual(["198.18.0.1"]);
    expect(await seen()).toBeGreaterThanOrEqual(1 + 6); // three to connect, two with words, one to part
  },
);

test("packets within a bridge are told from others where iptables sees them, and as soon as it does", async () => {
  const seen = join(await temporaryFolder(), "bridge");
  const machine = await startFirewallMachine("iptables-nft", { FIREWALL_BRIDGES: seen });
  const withMatch = async () => (await machine.rules("mangle")).filter((line) => line.includes(MATCH)).length;
  await machine.keep();
  expect((await machine.rules("mangle")).filter(isOurs)).not.toEqual([]);
  expect(await withMatch()).toBe(0);
  await mkdir(seen);
  await waitUntil("the match", async () => (await withMatch()) === 1);
  await waitUntil("the rules", () => machine.script("check").then(() => true));
});

test("a kernel without that match has the other rules, says so once, and gets the rest as soon as it can", async () => {
  const folder = await temporaryFolder();
  const [seen, allowed, tries] = ["bridge", "allowed", "tries"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(seen);
  const words = "there is no such match";
  const real = (await run("which", ["iptables-nft"])).stdout.trim();
  const refusal = `[ -e ${allowed} ] || { echo >>${tries}; echo "${words}" >&2; exit 1; }`;
  const judge = `case "$rules" in *${MATCH}*) ${refusal} ;; esac`;
  const restore = `rules="$(cat)"\n${judge}\necho "$rules" | ${real}-restore "$@"\n`;
  await writeFile(join(folder, "iptables-nft"), `#!/bin/sh\nexec ${real} "$@"\n`, { mode: 0o755 });
  await writeFile(join(folder, "iptables-nft-restore"), `#!/bin/sh\n${restore}`, { mode: 0o755 });
  const settings = { FIREWALL_BRIDGES: seen, PATH: `${folder}:${process.env["PATH"]}` };
  const machine = await startFirewallMachine("iptables-nft", settings);
  const told = (part: string) =>
    machine
      .output()
      .split("\n")
      .filter((line) => line.includes(part));
  await machine.keep();
  await waitUntil("some tries", async () => (await readFile(tries, "utf8")).length >= 3);
  expect((await machine.rules()).filter(isOurs)).not.toEqual([]);
  expect((await machine.rules("mangle")).filter(isOurs)).toEqual([]);
  expect(told("rules set")).toHaveLength(1);

  await writeFile(allowed, "");
  await waitUntil("word of it", () => told("ours keep environments from each other now").length === 1);
  expect((await machine.rules("mangle")).filter(isOurs)).not.toEqual([]);
  expect(told("Docker alone keeps environments")).toEqual([expect.stringContaining(words)]);
  await waitUntil("the rules", () => machine.script("check").then(() => true));
});
