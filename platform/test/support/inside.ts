import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { docker } from "./docker.ts";

/** A connection to try; with `hostHeader` also a request to make. */
export type Attempt = { host: string; port: number; hostHeader?: string; path?: string };

/** How an attempt ended: an HTTP status, `connected`, `timeout` or what Node calls the error, such as `EHOSTUNREACH`. */
export type Outcome = Attempt & { outcome: string };

/** Longer than any answer on one machine takes. Packets that are dropped make attempts last this long. */
const PATIENCE_MS = 2_500;

const TRY_ALL = `
const net = require("node:net");
const attempts = JSON.parse(process.argv[1]);
function attempt({ host, port, hostHeader, path = "/" }) {
  return new Promise((done) => {
    const socket = net.connect({ host, port });
    const end = (outcome) => { socket.destroy(); done(outcome); };
    socket.setTimeout(${PATIENCE_MS}, () => end("timeout"));
    socket.on("error", (error) => end(error.code));
    socket.on("close", () => done("closed"));
    socket.on("connect", () => {
      if (hostHeader === undefined) return end("connected");
      socket.write("GET " + path + " HTTP/1.1\\r\\nHost: " + hostHeader + "\\r\\nConnection: close\\r\\n\\r\\n");
    });
    socket.once("data", (data) => end(data.toString().split(" ")[1]));
  });
}
Promise.all(attempts.map(async (one) => ({ ...one, outcome: await attempt(one) })))
  .then((outcomes) => console.log(JSON.stringify(outcomes)));
`;

const LOOK_UP_ALL = `
const { lookup } = require("node:dns").promises;
const timeout = new Promise((done) => setTimeout(done, ${PATIENCE_MS}, "unknown"));
const ask = (name) => Promise.race([lookup(name).then(({ address }) => address, () => "unknown"), timeout]);
Promise.all(process.argv.slice(1).map(ask)).then((found) => { console.log(found.join(" ")); process.exit(); });
`;

/** Runs JavaScript inside a container that has Node, as the container's own user, and returns its output. */
export function runInside(container: string, script: string, ...args: string[]): Promise<string> {
  return docker("exec", container, "node", "-e", script, ...args);
}

/** Tries all at once from inside a container that has Node. */
export async function tryFromInside(container: string, attempts: Attempt[]): Promise<Outcome[]> {
  return JSON.parse(await runInside(container, TRY_ALL, JSON.stringify(attempts))) as Outcome[];
}

/** Looks names up from inside a container that has Node; a name without an address within 2.5 s is `unknown`. */
export async function lookUpFromInside(container: string, names: string[]): Promise<string[]> {
  return (await runInside(container, LOOK_UP_ALL, ...names)).split(" ");
}

/** Tries all from here, to show that there are listeners; `within` is a command that runs another one elsewhere. */
export async function tryFromHere(attempts: Attempt[], within: readonly string[] = []): Promise<Outcome[]> {
  const [command = "", ...args] = [...within, process.execPath, "-e", TRY_ALL, JSON.stringify(attempts)];
  const { stdout } = await promisify(execFile)(command, args);
  return JSON.parse(stdout) as Outcome[];
}
