import { readFile } from "node:fs/promises";
import type { FirewallMachine } from "./firewall-machine.ts";
import { tryFromHere, type Attempt } from "./inside.ts";
import { startNamespace } from "./network-namespace.ts";
import { waitUntil } from "./wait-until.ts";

const SERVER = `require("node:net")
  .createServer((socket) => socket.on("error", () => {}).end("from " + socket.remoteAddress))
  .listen(80, "0.0.0.0")`;

/** A host on one of a machine's networks, with a service on port 80 that answers with the caller's address. */
export type Neighbour = { readonly address: string; readonly within: readonly string[] };

/** Makes a network as Docker does: a bridge where the machine has the first address, and a neighbour per number. */
export async function addNetwork(
  machine: FirewallMachine,
  bridge: string,
  base: string,
  ...numbers: number[]
): Promise<Neighbour[]> {
  const { namespace } = machine;
  const ip = (...args: string[]) => namespace.run(["ip", ...args]);
  const addressOf = (number: number) => `${base.replace(/\d+$/, "")}${Number(/\d+$/.exec(base)?.[0]) + number}`;
  await namespace.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]);
  await ip("link", "add", bridge, "type", "bridge");
  await ip("addr", "add", `${addressOf(1)}/28`, "dev", bridge);
  await ip("link", "set", bridge, "up");
  const neighbours: Neighbour[] = [];
  for (const number of numbers) {
    const place = await startNamespace([process.execPath, "-e", SERVER]);
    const cable = `${bridge}-${number}`;
    await ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", String(place.pid));
    await ip("link", "set", cable, "master", bridge, "up");
    await place.run(["ip", "addr", "add", `${addressOf(number)}/28`, "dev", "eth0"]);
    await place.run(["ip", "link", "set", "eth0", "up"]);
    await place.run(["ip", "route", "add", "default", "via", addressOf(1)]);
    await waitUntil("its service", () => isListening(place.pid), 10_000, 10);
    neighbours.push({ address: addressOf(number), within: place.within });
  }
  return neighbours;
}

/** Whether port 80 is listened on there, by the kernel's table (proc(5), /proc/net/tcp: 0A is LISTEN). */
async function isListening(pid: number): Promise<boolean> {
  return / 00000000:0050 \S+ 0A /.test(await readFile(`/proc/${pid}/net/tcp`, "utf8"));
}

/** The outcome of a connection to each of these neighbours. */
export async function tryFrom(from: Pick<Neighbour, "within">, to: readonly Neighbour[]): Promise<string[]> {
  return tryEach(from, to, {});
}

/** The caller's address as each of these neighbours sees it; the outcome where the connection fails. */
export async function appearanceTo(from: Pick<Neighbour, "within">, to: readonly Neighbour[]): Promise<string[]> {
  return tryEach(from, to, { hostHeader: "x" });
}

async function tryEach({ within }: Pick<Neighbour, "within">, to: readonly Neighbour[], how: Partial<Attempt>) {
  const attempts = to.map(({ address }) => ({ host: address, port: 80, ...how }));
  return (await tryFromHere(attempts, within)).map(({ outcome }) => outcome);
}
