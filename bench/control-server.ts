import { spawn } from "node:child_process";
import { once } from "node:events";
import { docker, nodeImage } from "../platform/test/support/docker.ts";
import { groupOptionsLike } from "./processor-group.ts";

const SCRIPT = `
const body = Buffer.alloc(Number(process.argv[1]), "x");
const server = require("node:http").createServer((request, response) => response.end(body));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/**
 * A server that answers every request with so many bytes it has ready: what the machine gives at best at this very
 * moment, whoever else is at work on it. In a container with the place and the weight among the machine's groups that
 * the container `like` has, and with `label`, by which it is found where it is left over.
 */
export async function startControlServer(
  bytes: number,
  { like, label }: { like: string; label: string },
): Promise<{ port: number; stop(): Promise<void> }> {
  const group = await groupOptionsLike(like);
  const name = `${label}-control`;
  const options = ["--rm", "--init", "--name", name, "--label", `sandbox.platform=${label}`, "--network", "host"];
  const server = spawn(
    "docker",
    ["run", ...options, ...group, nodeImage(), "node", "-e", SCRIPT, String(bytes)],
    // Not for the terminal's Ctrl-C: it is ended by `stop`.
    { stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
  const ended = once(server, "exit").then(() => Promise.reject(new Error("the control server has ended")));
  ended.catch(() => {});
  const [printed] = (await Promise.race([once(server.stdout, "data"), ended])) as [Buffer];
  return { port: Number(printed.toString()), stop: async () => void (await docker("rm", "--force", name)) };
}
