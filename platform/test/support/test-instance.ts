import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { parseEnv, promisify } from "node:util";
import { randomInt } from "node:crypto";
import type { Role } from "../../domain/access/caller.ts";
import { containerRunner, processRunner } from "./api-runner.ts";
import { makeToken } from "./make-token.ts";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");

/** A platform for tests with a label, ports, folders and subnets of its own, so that it runs beside any other. */
export type TestInstance = {
  name: string;
  folder: string;
  variables: Record<string, string>;
  apiUrl: string;
  nginxPort: number;
  /** Tokens by the name of their caller. */
  tokens: Readonly<Record<string, string>>;
  /** Starts the API and waits until it is well. `extra` settings are for this start alone. */
  startApi(extra?: Record<string, string>): Promise<void>;
  /** Ends the API with a signal and waits for its end; returns its exit code (null when killed). */
  stopApi(signal?: NodeJS.Signals): Promise<number | null>;
  /** Stops the API, by SIGTERM where no signal is given, and starts it. */
  restartApi(signal?: NodeJS.Signals, extra?: Record<string, string>): Promise<void>;
  /** The signal that ended the API's process; null while it runs. */
  endedBy(): NodeJS.Signals | null;
  /** The API's process id; null where the kernel does not show it. */
  pid(): number | null;
  /** Runs compose on this instance's own project. */
  compose(...args: string[]): Promise<unknown>;
  /** Runs `make up` or `make down` on the instance, under a umask; returns the output. The engine is left running. */
  make(target: "up" | "down", umask?: string): Promise<string>;
  /** The API's output so far. */
  output(): string;
  /** Removes the instance, also after a failed test. */
  remove(): Promise<void>;
};

/** The default sizes of both pools, as in platform/config.ts. */
export const POOLS_AS_SHIPPED = { NETWORK_POOL_SIZE: "4", WARM_POOL_SIZE: "2" };
/** A platform that starts so removes the pools of a former one: every object then belongs to an environment, or is left over. */
export const NO_POOLS = { NETWORK_POOL_SIZE: "0", WARM_POOL_SIZE: "0" };

/** How the API runs: as in `npm run dev`, as in `make up`, or as in `make up` with SOCKET_FILTER=on. */
export type RunMode = "process" | "container" | "filtered container";

/** Two test files run at a time, in lane 0 and lane 1. Each takes only ports and places of its parity. */
const LANE = Number(process.env["VITEST_POOL_ID"] || 0) % 2;
const places = new Set<number>();

/** Below the ports that the kernel hands to clients, one of which may be taken before it is listened on. */
const [LOWEST_PORT, PORTS] = [20_000, 12_000];
const handedOut = new Set<number>();

/** A number below 256 that no other instance of this test run has; the instance's addresses follow from it. */
function takePlace(): number {
  for (;;) {
    const place = 2 * randomInt(128) + LANE;
    if (places.has(place)) continue;
    places.add(place);
    return place;
  }
}

/**
 * Prepares an instance and starts its firewall and its Nginx from the project's own compose file. With `callers`, names
 * by role, the API asks for tokens.
 */
export async function createTestInstance(
  extra: Record<string, string> = {},
  mode: RunMode = "process",
  callers: Record<string, Role> = {},
): Promise<TestInstance> {
  const name = `sandbox-t${process.pid.toString(36)}${randomInt(36 ** 4).toString(36)}`;
  // Inside the project: the API's container sees no other folder of this machine.
  const place = `./.cache/test/${name}`;
  const folder = join(ROOT, place);
  for (const part of ["envs", "logs", "conf.d"]) await mkdir(join(folder, part), { recursive: true });
  const tokens: Record<string, string> = {};
  const tokensFile = `${place}/tokens.json`;
  for (const [caller, role] of Object.entries(callers))
    tokens[caller] = await makeToken(join(ROOT, tokensFile), caller, role);
  const [platformPort, nginxPort] = [await freePort(), await freePort()];
  const ownPlace = takePlace();
  const variables: Record<string, string> = {
    INSTANCE: name,
    PLATFORM_PORT: String(platformPort),
    NGINX_PORT: String(nginxPort),
    PLATFORM_SUBNET: `10.192.${ownPlace}.0/24`,
    NGINX_ADDRESS: `10.192.${ownPlace}.2`,
    SUBNET_POOL: `10.${200 + (ownPlace % 40)}.${Math.floor(ownPlace / 40) * 16}.0/20`,
    // Pools change by themselves; tests about them, and long ones, turn them on.
    ...NO_POOLS,
    ENVS_DIR: `${place}/envs`,
    LOGS_DIR: `${place}/logs`,
    NGINX_CONF_DIR: `${place}/conf.d`,
    LOG_LEVEL: "info",
    ...(Object.keys(tokens).length > 0 ? { API_TOKENS_FILE: tokensFile } : {}),
    ...baseImages(),
    ...extra,
  };
  const [compose, cgroupParent] = [await composeCommand(), await platformCgroupParent()];
  const composeArgs = [
    ...compose.slice(1),
    "-p",
    name,
    "-f",
    join(ROOT, "docker-compose.yml"),
    ...(mode === "filtered container" ? ["-f", join(ROOT, "docker-compose.filtered.yml")] : []),
    "--project-directory",
    ROOT,
    // Compose reads .env by itself, whose settings are for the real platform.
    "--env-file",
    join(ROOT, "platform/test/support/no-settings.env"),
  ];
  const environment = { ...process.env, PLATFORM_CGROUP_PARENT: cgroupParent, ...variables };
  const composeWith = (args: string[], more: Record<string, string>) =>
    run(compose[0] ?? "", [...composeArgs, ...args], { env: { ...environment, ...more } });
  const composeRun = (...args: string[]) => composeWith(args, {});

  // As `make up` and `make down` do.
  const firewall = async (verb: "lock" | "down") =>
    (await run(join(ROOT, "scripts/firewall/firewall.sh"), [verb], { env: environment })).stdout.trim();

  const runner = mode === "process" ? processRunner(environment) : containerRunner(`${name}-api`, composeWith);
  const apiUrl = `http://127.0.0.1:${platformPort}`;

  const instance: TestInstance = {
    name,
    folder,
    variables,
    apiUrl,
    nginxPort,
    tokens,
    endedBy: () => runner.endedBy(),
    pid: () => runner.pid(),
    compose: composeRun,
    async make(target, umask = "022") {
      // Without this, make down would stop the engine together with its last platform.
      const env = { ...process.env, ...variables, ENGINE_PID_FILE: join(folder, "no-engine") };
      const script = join(ROOT, `scripts/${target}.sh`);
      return (await run("sh", ["-c", `umask ${umask}; exec "$0"`, script], { env })).stdout;
    },
    output: () => runner.output(),
    async startApi(more = {}) {
      await runner.start(more);
      const isWell = () => fetch(`${apiUrl}/healthz`).then(({ ok }) => ok);
      // An API that has ended will never be well.
      const hasEnded = () =>
        runner.assertRunning().then(
          () => false,
          () => true,
        );
      await waitUntil("the API to be well", async () => (await hasEnded()) || (await isWell()), 30_000, 25);
      await runner.assertRunning();
    },
    stopApi: (signal = "SIGTERM") => runner.stop(signal),
    async restartApi(signal, more) {
      await instance.stopApi(signal);
      await instance.startApi(more);
    },
    async remove() {
      await runner.stop("SIGKILL");
      await removeLabelled(name);
      // Once more, for the objects that the engine was still making for the dead platform.
      await removeLabelled(name);
      await firewall("down");
      for (const shared of ["socket", "firewall", "nginx", "state"]) {
        await rm(join(ROOT, ".cache", shared, name), { recursive: true, force: true });
      }
      await rm(folder, { recursive: true, force: true });
      await rmdir(join(folder, "..")).catch(() => {}); // the last instance takes the folder with it
      places.delete(ownPlace);
    },
  };
  try {
    Object.assign(environment, { FIREWALL_LOCK: await firewall("lock") });
    await composeRun("up", "-d", "firewall", "nginx");
    await waitUntil("the firewall rules", () => rulesStand(name), 20_000);
  } catch (error) {
    await instance.remove();
    throw error;
  }
  return instance;
}

/** Throws unless an instance's firewall says that its rules are in place. */
export async function rulesStand(instance: string): Promise<true> {
  await run("docker", ["exec", `${instance}-firewall`, "bash", "/sandbox/firewall.sh", "check"]);
  return true;
}

/** Names of the containers and networks that carry an instance's label. */
export async function labelledObjects(instance: string): Promise<string[]> {
  const filter = `label=sandbox.platform=${instance}`;
  const [containers, networks] = await Promise.all([
    run("docker", ["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]),
    run("docker", ["network", "ls", "--filter", filter, "--format", "{{.Name}}"]),
  ]);
  return [...containers.stdout.split("\n"), ...networks.stdout.split("\n")].filter(Boolean);
}

/** Everything of environments that an instance has on the machine: Docker objects, routes, state files, live logs. */
export async function leftovers(instance: TestInstance): Promise<string[]> {
  const own = new Set(["", "-nginx", "-firewall", "-api", "-socket-proxy"].map((part) => instance.name + part));
  const objects = (await labelledObjects(instance.name)).filter((object) => !own.has(object));
  const files = (folder: string) =>
    existsSync(join(instance.folder, folder)) ? readdir(join(instance.folder, folder)) : [];
  const state = (await files("envs")).filter((file) => file.endsWith(".json"));
  const routes = (await files("conf.d")).filter((file) => file.startsWith("env-"));
  const flags = (await files("conf.d/enabled")).map((file) => `conf.d/enabled/${file}`);
  const logs = (await files("logs")).filter((file) => file.startsWith("env-"));
  const secrets = (await files("envs/secrets")).map((file) => `envs/secrets/${file}`);
  return [...objects, ...state, ...routes, ...flags, ...secrets, ...logs.map((folder) => `logs/${folder}`)];
}

async function removeLabelled(instance: string): Promise<void> {
  const filter = ["--filter", `label=sandbox.platform=${instance}`];
  const { stdout: containers } = await run("docker", ["ps", "-aq", ...filter]);
  const ids = containers.split("\n").filter(Boolean);
  if (ids.length > 0) await run("docker", ["rm", "-fv", ...ids]).catch(() => {});
  const { stdout: networks } = await run("docker", ["network", "ls", "-q", ...filter]);
  for (const id of networks.split("\n").filter(Boolean)) await run("docker", ["network", "rm", id]).catch(() => {});
}

/** The base images that the set-up chose. */
export function baseImages(): Record<string, string> {
  const file = join(ROOT, ".cache/images.env");
  const chosen = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const images: Record<string, string> = {};
  for (const key of ["NODE_IMAGE", "NGINX_IMAGE"]) {
    const image = process.env[key] || chosen[key];
    if (image) images[key] = image;
  }
  return images;
}

/** The compose plugin where there is one, else Debian's own command. */
async function composeCommand(): Promise<string[]> {
  const plugin = await run("docker", ["compose", "version"]).catch(() => null);
  return plugin === null ? ["docker-compose"] : ["docker", "compose"];
}

/** As in scripts/lib/engine.sh. */
async function platformCgroupParent(): Promise<string> {
  const { stdout } = await run("docker", ["info", "--format", "{{.CgroupDriver}}"]);
  return stdout.trim() === "cgroupfs" ? "/" : "";
}

/** A port without a listener. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST_PORT + 2 * randomInt(PORTS / 2) + LANE;
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
