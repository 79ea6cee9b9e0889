import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  isOurs,
  linesAbout,
  replaceRestore,
  startFirewallMachine,
  TOOLS,
  type FirewallMachine,
  type Tool,
} from "../support/firewall-machine.ts";
import { addNetwork, appearanceTo, tryFrom, type Neighbour } from "../support/firewall-networks.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { waitUntil } from "../support/wait-until.ts";

const MATCH = "--physdev-is-bridged";

/** A machine with an environment of two containers, and a neighbour outside of the subnet pool. */
async function startWithEnvironment(
  tool: Tool,
): Promise<{ machine: FirewallMachine; nginx: Neighbour; app: Neighbour; world: Neighbour }> {
  const machine = await startFirewallMachine(tool);
  const [nginx, app] = await addNetwork(machine, "br-own", "10.172.0.0", 2, 3);
  const [world] = await addNetwork(machine, "br-world", "198.18.0.0", 2);
  if (nginx === undefined || app === undefined || world === undefined) throw new Error("a neighbour is missing");
  return { machine, nginx, app, world };
}

describe.each(TOOLS)("with rules set by %s", (tool) => {
  // Docker takes its jumps in FORWARD away and puts them back whenever a network comes: here it stops in between.
  test("an environment without Docker's rules reaches itself and the world, but no other environment, Nginx or metadata", async () => {
    const { machine, nginx, app, world } = await startWithEnvironment(tool);
    const others = await addNetwork(machine, "br-other", "10.172.0.16", 2, 3);
    const forbidden = [
      ...others,
      ...(await addNetwork(machine, "br-front", "10.171.0.0", 2)),
      ...(await addNetwork(machine, "br-cloud", "169.254.169.240", 14)),
    ];
    const all = [nginx, world, ...forbidden];
    const open = ["connected", "connected"];
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
    // Stopped, so that it does not put the other jump back.
    await machine.stopKeeping();
    await machine.iptables("-D", "FORWARD", "-j", "DOCKER-USER");
    expect(await tryFrom(app, all)).toEqual([...open, ...forbidden.map(() => "timeout")]);
    expect(await tryFrom(machine.namespace, [nginx, app, ...others])).toEqual(Array(4).fill("connected"));
  });

  test("an environment has the machine's address to the world, and its own within its network", async () => {
    const { machine, nginx, app, world } = await startWithEnvironment(tool);
    expect(await appearanceTo(app, [world])).toEqual([app.address]);
    await machine.keep();
    expect(await appearanceTo(app, [world, nginx])).toEqual(["198.18.0.1", app.address]);
    // The rules concern environments alone.
    expect(await appearanceTo(world, [app])).toEqual([world.address]);
  });

  test("Docker's rules see every packet that leaves a network, and the first of each connection within one", async () => {
    const { machine, nginx, app, world } = await startWithEnvironment(tool);
    await machine.keep();
    // A rule that does nothing but count.
    await machine.iptables("-A", "FORWARD", "-p", "tcp");
    const seen = async () =>
      Number(/ -p tcp -c (\d+) /.exec(await machine.namespace.run([tool, "-v", "-S", "FORWARD"]))?.[1]);

    expect(await appearanceTo(nginx, [app])).toEqual([nginx.address]);
    expect(await seen()).toBe(1);
    expect(await appearanceTo(app, [world])).toEqual(["198.18.0.1"]);
    expect(await seen()).toBeGreaterThanOrEqual(1 + 6); // three to connect, two with data, one to close
  });
});

test("the rules tell packets within a bridge from others as soon as iptables sees them", async () => {
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

test("a kernel without the physdev match gets the other rules and one log line, and the rest once it has the match", async () => {
  const folder = await temporaryFolder();
  const [seen, allowed, tries] = ["bridge", "allowed", "tries"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(seen);
  const error = "there is no such match";
  const refusal = `[ -e ${allowed} ] || { echo >>${tries}; echo "${error}" >&2; exit 1; }`;
  const script = `rules="$(cat)"\ncase "$rules" in *${MATCH}*) ${refusal} ;; esac\necho "$rules" | "$REAL" "$@"`;
  const settings = { FIREWALL_BRIDGES: seen, ...(await replaceRestore(folder, script)) };
  const machine = await startFirewallMachine("iptables-nft", settings);
  const logged = (part: string) => linesAbout(machine, part);
  await machine.keep();
  await waitUntil("some tries", async () => (await readFile(tries, "utf8")).length >= 3);
  expect((await machine.rules()).filter(isOurs)).not.toEqual([]);
  expect((await machine.rules("mangle")).filter(isOurs)).toEqual([]);
  expect(logged("rules set")).toHaveLength(1);

  await writeFile(allowed, "");
  await waitUntil("the log line", () => logged("our rules keep environments from each other now").length === 1);
  expect((await machine.rules("mangle")).filter(isOurs)).not.toEqual([]);
  expect(logged("Docker alone keeps environments")).toEqual([expect.stringContaining(error)]);
  await waitUntil("the rules", () => machine.script("check").then(() => true));
});
