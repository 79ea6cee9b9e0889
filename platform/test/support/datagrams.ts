import { createSocket } from "node:dgram";
import { formatAddress } from "../../domain/network/subnets.ts";
import { docker, subnetOf } from "./docker.ts";
import { runInside } from "./inside.ts";

/** Where to send a datagram; with `toAll` the address is a broadcast address. */
export type Target = { host: string; port: number; toAll?: boolean };

/** Longer than a refusal takes on one machine. */
const PATIENCE_MS = 2_500;

const SEND_ALL = `
const dgram = require("node:dgram");
const [targets, text] = process.argv.slice(1).map((part) => JSON.parse(part));
function send({ host, port, toAll }) {
  return new Promise((done) => {
    const socket = dgram.createSocket("udp4");
    const end = (outcome) => { clearTimeout(timer); socket.close(); done(outcome); };
    const timer = setTimeout(() => end("timeout"), ${PATIENCE_MS});
    socket.on("error", (error) => end(error.code));
    socket.on("message", () => end("answered"));
    if (!toAll) return socket.connect(port, host, () => socket.send(text));
    socket.bind(() => {
      socket.setBroadcast(true);
      socket.send(text, port, host, (error) => end(error ? error.code : "sent"));
    });
  });
}
(async () => {
  const outcomes = [];
  for (const target of targets) outcomes.push(await send(target));
  console.log(JSON.stringify(outcomes));
})();
`;

/**
 * Sends a datagram to each from inside a container that has Node, one after the other, and returns how each ended:
 * to one address as `answered`, the error by which it was refused or `timeout`; to all as `sent`, since no answer comes.
 */
export async function sendFromInside(container: string, targets: Target[], text: string): Promise<string[]> {
  const args = [targets, text].map((value) => JSON.stringify(value));
  return JSON.parse(await runInside(container, SEND_ALL, ...args)) as string[];
}

/** A ping as a process without privileges may send it; the kernel fills in what is 0. Node has no such sockets. */
const PING = `
use Socket;
my ($host, $patience) = @ARGV;
socket(my $socket, PF_INET, SOCK_DGRAM, getprotobyname("icmp") // 1) or die "socket: $!";
my $echo = pack("CCnnna8", 8, 0, 0, 0, 1, "sandbox!");
send($socket, $echo, 0, sockaddr_in(0, inet_aton($host))) or do { print "$!"; exit };
vec(my $ready = "", fileno($socket), 1) = 1;
print select($ready, undef, undef, $patience) ? "answered" : "timeout";
`;

/** Sends a ping from inside a container of a Debian image, and returns how it ended: `answered`, `timeout`, or why it could not be sent. */
export function pingFromInside(container: string, host: string): Promise<string> {
  return docker("exec", container, "perl", "-e", PING, host, String(PATIENCE_MS / 1000));
}

/** Sends a datagram from here. */
export async function sendDatagram({ host, port, toAll = false }: Target, text: string): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((done) => socket.bind(() => done()));
  socket.setBroadcast(toAll);
  await new Promise((done) => socket.send(text, port, host, done));
  socket.close();
}

/** The broadcast address of a network of Docker's. */
export async function broadcastOf(network: string): Promise<string> {
  const { base, prefix } = await subnetOf(network);
  return formatAddress(base + 2 ** (32 - prefix) - 1);
}

/** Runs `use` beside a service of this machine that takes datagrams at every address; `heard` counts those with a text. */
export async function withDatagramListener(
  use: (port: number, heard: (text: string) => number) => Promise<void>,
): Promise<void> {
  const received: string[] = [];
  const socket = createSocket("udp4", (message) => void received.push(message.toString()));
  await new Promise<void>((done) => socket.bind(0, "0.0.0.0", done));
  try {
    await use(socket.address().port, (text) => received.filter((one) => one === text).length);
  } finally {
    socket.close();
  }
}
