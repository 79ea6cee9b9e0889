import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import { promisify } from "node:util";
import { docker, nodeImage, TEST_LABEL } from "./docker.ts";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);

const SERVER = `
const heard = [];
const socket = require("node:dgram").createSocket("udp4", (word, from) => {
  heard.push(word.toString());
  socket.send(word, from.port, from.address);
}).bind(80);
require("node:http").createServer((request, response) => {
  const lines = require("node:fs").readFileSync("/proc/net/snmp", "utf8").split("\\n").filter((line) => line.startsWith("Icmp: "));
  const [names, numbers] = lines.map((line) => line.split(" "));
  const pings = Number(numbers[names.indexOf("InEchos")]);
  response.end(request.url === "/heard" ? JSON.stringify({ datagrams: heard, pings }) : request.socket.remoteAddress);
}).listen(80);
`;

/** A machine beside this one, wired to it, which serves HTTP on port 80 under two addresses, and sends datagrams to it back. */
export type OutsideMachine = {
  /** Of the range for network tests (RFC 2544). */
  address: string;
  /** Of the link-local range, where clouds have their metadata service. */
  linkLocal: string;
  /** The datagrams and pings that arrived. */
  heard(): Promise<{ datagrams: string[]; pings: number }>;
  remove(): Promise<void>;
};

/** A network namespace of its own with a cable to this machine: for routing and firewalls it is another machine. */
export async function startOutsideMachine(instance: string): Promise<OutsideMachine> {
  const container = `${instance}-outside`;
  const [third, fourth] = [randomInt(256), randomInt(64) * 4];
  const [test, linkLocal] = [`198.18.${third}.`, `169.254.${third === 169 ? 170 : third}.`];
  const cable = `sbx${randomInt(36 ** 6).toString(36)}`;
  const remove = async (): Promise<void> => void (await docker("rm", "-f", "-v", container).catch(() => {}));
  const options = ["--network", "none", "--label", `${TEST_LABEL}=${instance}`, "--name", container];
  await docker("run", "-d", ...options, nodeImage(), "node", "-e", SERVER);
  try {
    const pid = await docker("inspect", "-f", "{{.State.Pid}}", container);
    await run("ip", ["link", "add", cable, "type", "veth", "peer", "name", "cable", "netns", pid]);
    await wire([], cable, [`${test}${fourth + 1}`, `${linkLocal}${fourth + 1}`]);
    await wire(["nsenter", "-t", pid, "-n"], "cable", [`${test}${fourth + 2}`, `${linkLocal}${fourth + 2}`]);
    const address = `${test}${fourth + 2}`;
    await waitUntil("the outside machine to answer", async () => (await fetch(`http://${address}/`)).ok);
    const heard = async () => (await fetch(`http://${address}/heard`)).json() as ReturnType<OutsideMachine["heard"]>;
    return { address, linkLocal: `${linkLocal}${fourth + 2}`, heard, remove };
  } catch (error) {
    await remove(); // and with its namespace the cable
    throw error;
  }
}

/** `within` is a command that runs another one elsewhere. */
async function wire(within: string[], device: string, addresses: string[]): Promise<void> {
  for (const address of addresses) await ip(within, "addr", "add", `${address}/30`, "dev", device);
  await ip(within, "link", "set", device, "up");
}

async function ip(within: string[], ...args: string[]): Promise<void> {
  const [command = "ip", ...rest] = [...within, "ip", ...args];
  await run(command, rest);
}
