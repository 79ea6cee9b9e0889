import { spawn } from "node:child_process";
import { once } from "node:events";

const SCRIPT = `
const body = Buffer.alloc(Number(process.argv[1]), "x");
const server = require("node:http").createServer((request, response) => response.end(body));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/**
 * A process that answers every request with so many bytes it has ready: what the machine gives at best at this
 * very moment, whoever else is at work on it.
 */
export async function startControlServer(bytes: number): Promise<{ port: number; stop(): void }> {
  const server = spawn(process.execPath, ["-e", SCRIPT, String(bytes)], { stdio: ["ignore", "pipe", "inherit"] });
  const [printed] = (await once(server.stdout, "data")) as [Buffer];
  return { port: Number(printed.toString()), stop: () => void server.kill("SIGKILL") };
}
