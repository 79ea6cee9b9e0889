import { execFile } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseEnv, promisify } from "node:util";
import { environmentLabels, LABEL_ENV } from "../../domain/environment/labels.ts";
import { formatAddress, formatSubnet, overlaps, parseSubnet, type Subnet } from "../../domain/network/subnets.ts";
import type { ContainerSpec, Engine } from "../../workloads/docker/engine.ts";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");

/** Where tests of the engine take their subnets from; the platform and other tests use other ranges. */
const TEST_POOL = parseSubnet("10.190.0.0/16");
const TEST_PREFIX = 28;

/** Marks objects that tests make as another owner would, so that they are found again without being ours. */
export const TEST_LABEL = "sandbox.test";

export const DOCKER_SOCKET = process.env["DOCKER_SOCKET"] || "/var/run/docker.sock";

/** An instance name that no other test, and no platform, has. */
export function testInstanceName(): string {
  return `sandbox-ct-${process.pid}-${randomBytes(3).toString("hex")}`;
}

/** Runs Docker's own client and returns its output. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await run("docker", args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** Runs Docker's own client with this on its standard input. */
export async function dockerWithInput(input: string, ...args: string[]): Promise<void> {
  const running = run("docker", args);
  running.child.stdin?.end(input);
  await running;
}

/** Pauses a container. On a busy machine the engine may fail to stop every process in time: then it is asked again. */
export async function pauseContainer(container: string): Promise<void> {
  await waitUntil(`${container} to be paused`, () => docker("pause", container).then(() => true));
}

/** A container's address in one of its networks. */
export async function addressOf(container: string, network: string): Promise<string> {
  return docker("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
}

/** The subnet of one of Docker's networks. */
export async function subnetOf(network: string): Promise<Subnet> {
  return parseSubnet(await docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", network));
}

/** The image with Node and a shell that set-up chose, or the one named by NODE_IMAGE. */
export function nodeImage(): string {
  const chosen = resolve(ROOT, ".cache/images.env");
  const remembered = existsSync(chosen) ? parseEnv(readFileSync(chosen, "utf8"))["NODE_IMAGE"] : undefined;
  return process.env["NODE_IMAGE"] || remembered || "sandbox-local/node:24";
}

/** A subnet that no network of the engine uses now, with its addresses. */
export async function freeSubnet(): Promise<{ subnet: string; gateway: string; addresses: string[] }> {
  const subnet = await freeRange(TEST_PREFIX);
  const at = (offset: number): string => formatAddress(subnet.base + offset);
  return { subnet: formatSubnet(subnet), gateway: at(1), addresses: Array.from({ length: 12 }, (_, i) => at(i + 2)) };
}

/** A range that no network of the engine uses now, at random, so that tests beside each other rarely meet. */
export async function freeRange(prefix: number): Promise<Subnet> {
  const ids = (await docker("network", "ls", "-q", "--filter", "driver=bridge")).split("\n").filter(Boolean);
  // A network may go between the two calls, which is no reason to fail.
  const listed = await docker("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{end}}", ...ids).catch(
    (error: { stdout?: string }) => error.stdout ?? "",
  );
  const used = listed
    .split(/\s+/)
    .filter((subnet) => /^\d+\.\d+\.\d+\.\d+\/\d+$/.test(subnet))
    .map(parseSubnet);
  for (;;) {
    const index = randomInt(2 ** (prefix - TEST_POOL.prefix));
    const candidate = { base: TEST_POOL.base + index * 2 ** (32 - prefix), prefix };
    if (!used.some((subnet) => overlaps(subnet, candidate))) return candidate;
  }
}

/** Removes every container, network and volume of an instance, and the objects made beside it under TEST_LABEL. */
export async function removeTestObjects(instance: string): Promise<void> {
  for (const label of [`sandbox.platform=${instance}`, `${TEST_LABEL}=${instance}`]) {
    const filter = ["-q", "--filter", `label=${label}`];
    const containers = (await docker("ps", "-a", ...filter)).split("\n").filter(Boolean);
    if (containers.length > 0) await docker("rm", "-f", "-v", ...containers).catch(() => {});
    const networks = (await docker("network", "ls", ...filter)).split("\n").filter(Boolean);
    for (const network of networks) await docker("network", "rm", network).catch(() => {});
  }
}

/** Names of the objects that are left of an instance. */
export async function testObjects(instance: string): Promise<string[]> {
  const names: string[] = [];
  for (const label of [`sandbox.platform=${instance}`, `${TEST_LABEL}=${instance}`]) {
    const filter = ["--filter", `label=${label}`];
    names.push(...(await docker("ps", "-a", "--format", "{{.Names}}", ...filter)).split("\n"));
    names.push(...(await docker("network", "ls", "--format", "{{.Name}}", ...filter)).split("\n"));
  }
  return names.filter(Boolean);
}

/** Runs a command in a container of an environment of its own; both are the instance's. */
export async function runContainer(
  engine: Engine,
  instance: string,
  command: string[],
  { memory_mb = 128 }: { memory_mb?: number } = {},
): Promise<ContainerSpec> {
  const { container, subnet, gateway } = await plannedContainer(instance, command);
  const labels = environmentLabels(instance, container.labels[LABEL_ENV] ?? "", "network");
  await engine.networks.create({ name: container.network, subnet, gateway, labels, internal: false });
  await engine.containers.create({ ...container, resources: { ...container.resources, memory_mb } });
  await engine.containers.start(container.name);
  return container;
}

/** The plan of a container in an environment of its own; nothing of it exists yet. */
export async function plannedContainer(
  instance: string,
  command: string[] | null,
): Promise<{ container: ContainerSpec; subnet: string; gateway: string }> {
  const id = `env-${randomBytes(4).toString("hex")}`;
  const { subnet, gateway, addresses } = await freeSubnet();
  const container = {
    name: `${instance}-${id}-app`,
    image: nodeImage(),
    labels: environmentLabels(instance, id, "app", "app"),
    env: {},
    command,
    network: `${instance}-${id}`,
    address: addresses[1] ?? "",
    aliases: ["app"],
    resources: { memory_mb: 128, cpus: 1, pids: 64 },
  };
  return { container, subnet, gateway };
}
