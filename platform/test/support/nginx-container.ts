import { execFile } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseEnv, promisify } from "node:util";
import type { NginxControl } from "../../routing/nginx/nginx-control.ts";
import { createNginxRouter, type NginxRouter, type NginxRouterOptions } from "../../routing/nginx/nginx-router.ts";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");

type GetOptions = { port?: number; path?: string; method?: string; headers?: Record<string, string> };

/** A real Nginx with the project's own nginx.conf, in a container and a network of its own. */
export type NginxContainer = {
  instance: string;
  address: string;
  /** This machine as Nginx's network sees it: where test upstreams listen. */
  gateway: string;
  internalUrl: string;
  confDir: string;
  control: NginxControl;
  /** A router on it, which denies the environments and the intruder. */
  makeRouter(changes?: Partial<NginxRouterOptions>): NginxRouter;
  /** Another network that Nginx is attached to, as an environment's is; a client there is a neighbour. */
  environments: { network: string; nginxAddress: string };
  /** Runs a shell script in a container on the environments' network and returns what it prints. */
  runAsNeighbour(script: string): Promise<string>;
  /** An address in the platform's own network, where Nginx listens, and a container that has it. */
  intruder: { run(script: string): Promise<string> };
  /** Cuts Nginx off the platform's network; `reconnect` puts it back. */
  cutOff(): Promise<void>;
  reconnect(): Promise<void>;
  /** Serves on the gateway, on a port of its own. */
  listen(listener: RequestListener): Promise<{ server: Server; port: number }>;
  /** One request on a connection of its own. */
  get(
    host: string,
    options?: GetOptions,
  ): Promise<{ status: number; headers: IncomingMessage["headers"]; body: string }>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Starts it without waiting for an answer: cut off it cannot be asked. */
  startUnseen(): Promise<void>;
  dispose(): Promise<void>;
};

/** The image set-up chose, or the one named by NGINX_IMAGE. */
function nginxImage(): string {
  const chosen = join(ROOT, ".cache/images.env");
  const remembered = existsSync(chosen) ? parseEnv(readFileSync(chosen, "utf8"))["NGINX_IMAGE"] : undefined;
  return process.env["NGINX_IMAGE"] || remembered || "sandbox-local/nginx:bookworm";
}

/** Starts it and waits until it answers. */
export async function startNginxContainer(): Promise<NginxContainer> {
  const instance = `sandbox-ct-${process.pid}-${randomBytes(3).toString("hex")}`;
  const label = ["--label", `sandbox.platform=${instance}`];
  const folder = await mkdtemp(join(tmpdir(), `${instance}-`));
  await chmod(folder, 0o755);
  const confDir = join(folder, "conf.d");
  await mkdir(confDir);
  const servers: Server[] = [];
  const container = `${instance}-nginx`;
  const environmentsNetwork = `${instance}-env`;

  async function dispose(): Promise<void> {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    const filter = ["--filter", `label=sandbox.platform=${instance}`, "-q"];
    const containers = (await run("docker", ["ps", "-a", ...filter])).stdout.split("\n").filter(Boolean);
    if (containers.length > 0) await run("docker", ["rm", "-f", "-v", ...containers]);
    const networks = (await run("docker", ["network", "ls", ...filter])).stdout.split("\n").filter(Boolean);
    if (networks.length > 0) await run("docker", ["network", "rm", ...networks]);
    await rm(folder, { recursive: true, force: true });
  }

  try {
    // The platform's own network sorts before the environments', as in production.
    const platform = await createNetwork(instance, label);
    const environments = await createNetwork(environmentsNetwork, label);
    const address = `${platform}.2`;
    const files = ["nginx.conf", "start.sh"].flatMap((file) => ["-v", `${ROOT}/nginx/${file}:/etc/nginx/${file}:ro`]);
    const mounts = [...files, "-v", `${confDir}:/etc/nginx/conf.d:ro`];
    const image = nginxImage();
    const options = [
      "--name",
      container,
      ...label,
      "--network",
      instance,
      "--ip",
      address,
      "--ulimit",
      "nofile=16384",
      "--env",
      `NGINX_ADDRESS=${address}`,
      "--sysctl",
      "net.ipv4.ip_nonlocal_bind=1",
      ...mounts,
    ];
    await run("docker", ["run", "-d", ...options, image, "sh", "/etc/nginx/start.sh"]);
    const nginxAddress = `${environments}.2`;
    await run("docker", ["network", "connect", "--ip", nginxAddress, environmentsNetwork, container]);

    const runScript = async (script: string, network: string, ...more: string[]): Promise<string> => {
      const args = ["run", "--rm", ...label, "--network", network, ...more, image, "bash", "-c", script];
      return (await run("docker", args)).stdout;
    };
    const get: NginxContainer["get"] = (host, options = {}) => getOnce(address, host, options);
    const answers = (): Promise<boolean> => get("up", { port: 8081, path: "/up" }).then(({ status }) => status === 200);
    await waitUntil("Nginx to answer", answers, 20_000, 20);

    const [internalUrl, control] = [`http://${address}:8081`, dockerControl(container)];
    const deniedSubnets = [`${environments}.0/24`, `${platform}.200/32`];

    return {
      instance,
      address,
      gateway: `${platform}.1`,
      internalUrl,
      confDir,
      control,
      makeRouter: (changes) => createNginxRouter({ confDir, internalUrl, control, deniedSubnets, ...changes }),
      environments: { network: environmentsNetwork, nginxAddress },
      runAsNeighbour: (script) => runScript(script, environmentsNetwork),
      intruder: { run: (script) => runScript(script, instance, "--ip", `${platform}.200`) },
      cutOff: async () => void (await run("docker", ["network", "disconnect", "-f", instance, container])),
      reconnect: async () => void (await run("docker", ["network", "connect", "--ip", address, instance, container])),
      async listen(listener) {
        const server = createServer(listener);
        servers.push(server);
        await new Promise<void>((done) => server.listen(0, `${platform}.1`, done));
        return { server, port: (server.address() as AddressInfo).port };
      },
      get,
      stop: async () => void (await run("docker", ["stop", "-t", "0", container])),
      startUnseen: async () => void (await run("docker", ["start", container])),
      async start() {
        await run("docker", ["start", container]);
        await waitUntil("Nginx to answer", answers, 20_000, 20);
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** A /24 of the tests' own range that nothing uses; returns its first three bytes. */
async function createNetwork(name: string, label: string[]): Promise<string> {
  for (let tries = 0; ; tries++) {
    const prefix = `10.191.${randomInt(256)}`;
    try {
      await run("docker", [
        "network",
        "create",
        "--subnet",
        `${prefix}.0/24`,
        "--gateway",
        `${prefix}.1`,
        ...label,
        name,
      ]);
      return prefix;
    } catch (error) {
      if (tries >= 10) throw error;
    }
  }
}

/** The control that main builds on the engine, built on the docker command instead. */
function dockerControl(container: string): NginxControl {
  return {
    async test() {
      const { stdout } = await run("docker", ["inspect", "--format", "{{.State.Running}}", container]);
      if (stdout.trim() !== "true") throw new Error("the container does not run");
      try {
        const { stderr } = await run("docker", ["exec", container, "nginx", "-t"]);
        return { ok: true, output: stderr };
      } catch (error) {
        return { ok: false, output: (error as { stderr?: string }).stderr ?? String(error) };
      }
    },
    reload: async () => void (await run("docker", ["kill", "-s", "HUP", container])),
    async restart() {
      await run("docker", ["kill", container]);
      await run("docker", ["start", container]);
    },
  };
}

function getOnce(
  address: string,
  host: string,
  { port = 80, path = "/", method = "GET", headers = {} }: GetOptions,
): ReturnType<NginxContainer["get"]> {
  return new Promise((done, fail) => {
    const outgoing = request(
      { host: address, port, path, method, headers: { host, ...headers }, agent: false, timeout: 15_000 },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.on("end", () => done({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on("error", fail);
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in 15 s")));
    outgoing.on("error", fail);
    outgoing.end();
  });
}
