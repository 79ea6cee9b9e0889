import { spawn } from "node:child_process";
import { once } from "node:events";
import { docker, nodeImage } from "../platform/test/support/docker.ts";

const SCRIPT = `
const body = Buffer.alloc(Number(process.argv[1]), "x");
const server = require("node:http").createServer((request, response) => response.end(body));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/**
 * Starts a server that answers every request with `bytes` bytes it has ready: the floor of what the machine gives at
 * this moment. It runs in a container with the processor group and weight of the container `like`, and with `label`,
 * by which a clean-up finds it.
 */
export async function startControlServer(
  bytes: number,
  { like, label }: { like: string; label: string },
): Promise<{ port: number; stop(): Promise<void> }> {
  const format = "{{.HostConfig.CpuShares}} {{.HostConfig.CgroupParent}}";
  const [shares = "0", parent = ""] = (await docker("inspect", "-f", format, like)).split(" ");
  const group = ["--cpu-shares", shares, ...(parent === "" ? [] : ["--cgroup-parent", parent])];
  const name = `${label}-control`;
  const options = ["--rm", "--init", "--name", name, "--label", `sandbox.platform=${label}`, "--network", "host"];
  const server = spawn(
    "docker",
    ["run", ...options, ...group, nodeImage(), "node", "-e", SCRIPT, String(bytes)],
    // Detached from the terminal's Ctrl-C: `stop` ends it.
    { stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
  const ended = once(server, "exit").then(() => Promise.reject(new Error("the control server has ended")));
  ended.catch(() => {});
  const [printed] = (await Promise.race([once(server.stdout, "data"), ended])) as [Buffer];
  return { port: Number(printed.toString()), stop: async () => void (await docker("rm", "--force", name)) };
}
