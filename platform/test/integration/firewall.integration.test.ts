import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { apiClient, visit } from "../support/api-client.ts";
import { broadcastOf, sendDatagram, sendFromInside, withDatagramListener } from "../support/datagrams.ts";
import { describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { TABLES } from "../support/firewall-machine.ts";
import { tryFromHere, tryFromInside, type Attempt } from "../support/inside.ts";
import { createTestInstance, labelledObjects, rulesStand, type TestInstance } from "../support/test-instance.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");

const iptables = async (...args: string[]) => (await run("iptables", ["-w", ...args])).stdout.trim();
const chainOf = (instance: string) => `SANDBOX-${createHash("sha256").update(instance).digest("hex").slice(0, 12)}`;
const rulesOf = async (instance: string) =>
  (await Promise.all(TABLES.map((table) => iptables("-t", table, "-S"))))
    .flatMap((rules) => rules.split("\n"))
    .filter((line) => line.includes(chainOf(instance)));
const firewallLog = async (instance: string) => (await docker("logs", `${instance}-firewall`)).split("\n");

/** Starts a service on every address of this machine, which ends with the test, and returns its port. */
async function listenEverywhere(): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  onTestFinished(() => void server.close());
  await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
  return (server.address() as AddressInfo).port;
}

describePlatform(
  "the firewall's container",
  {},
  (platform) => {
    const name = () => platform.instance.name;
    const firewall = () => `${name()}-firewall`;
    const jump = (chain = chainOf(name())) => ["-m", "comment", "--comment", `sandbox ${name()}`, "-j", chain];

    /** Makes an environment; returns a function that tries to reach a service of this machine through its gateway. */
    async function makeAttempt(): Promise<() => Promise<string | undefined>> {
      const { container, network } = await platform.createDemo();
      const host = await docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network);
      const service: Attempt = { host, port: await listenEverywhere() };
      expect((await tryFromHere([service]))[0]?.outcome).toBe("connected");
      return async () => (await tryFromInside(container, [service]))[0]?.outcome;
    }

    test.each([
      ["the chain was emptied", () => [["-F", chainOf(name())]]],
      ["the jump from INPUT was removed", () => [["-D", "INPUT", ...jump()]]],
      [
        "every rule of ours was removed",
        () => [
          ...["INPUT", "DOCKER-USER"].map((from) => ["-D", from, ...jump()]),
          ...["mangle", "nat"].map((table) => ["-t", table, "-D", "POSTROUTING", ...jump()]),
          ["-t", "nat", "-D", "PREROUTING", ...jump(`${chainOf(name())}-in`)],
          ...["-F", "-X"].map((verb) => ["-t", "nat", verb, `${chainOf(name())}-in`]),
          ...TABLES.flatMap((table) => ["-F", "-X"].map((verb) => ["-t", table, verb, chainOf(name())])),
          ...["-F", "-X"].map((verb) => [verb, `${chainOf(name())}-within`]),
        ],
      ],
    ])("environments are refused again after %s", async (_, damage) => {
      const attempt = await makeAttempt();
      expect(await attempt()).toBe("ECONNREFUSED");
      const before = await rulesOf(name());
      const logged = (await firewallLog(name())).length;

      // Paused, so that the damage lasts until it has been observed.
      await docker("pause", firewall());
      try {
        for (const command of damage()) await iptables(...command);
        expect(await attempt()).toBe("connected");
      } finally {
        await docker("unpause", firewall());
      }
      await waitUntil("the refusal", async () => (await attempt()) === "ECONNREFUSED");
      await waitUntil("the log line", async () => (await firewallLog(name())).length === logged + 1);
      expect((await rulesOf(name())).toSorted()).toEqual(before.toSorted());
      expect((await firewallLog(name())).at(-1)).toContain("rules put back");
    });

    test("broadcast datagrams of environments are refused, and arrive without the rules", async () => {
      const { container, network } = await platform.createDemo();
      const addresses = ["255.255.255.255", await broadcastOf(network)];
      await withDatagramListener(async (port, heard) => {
        const all = addresses.map((host) => ({ host, port, toAll: true }));
        await docker("pause", firewall());
        try {
          await iptables("-D", "INPUT", ...jump());
          await sendFromInside(container, all, "without");
          await waitUntil("the broadcasts", () => heard("without") === all.length);
        } finally {
          await docker("unpause", firewall());
        }
        await waitUntil("the rules", () => rulesStand(name()), 20_000);
        await sendFromInside(container, all, "with");
        // Datagrams sent before this one arrive before it.
        await sendDatagram({ host: "127.0.0.1", port }, "the end");
        await waitUntil("the last datagram", () => heard("the end") === 1);
        expect(heard("with")).toBe(0);
      });
    });

    test("the rules stay when the firewall's container is stopped, and missing ones are put back when it is started", async () => {
      const attempt = await makeAttempt();
      const before = await rulesOf(name());
      await docker("stop", firewall());
      expect(await rulesOf(name())).toEqual(before);
      await iptables("-F", chainOf(name()));
      expect(await attempt()).toBe("connected");
      await docker("restart", firewall());
      await waitUntil("the refusal", async () => (await attempt()) === "ECONNREFUSED");
      await rulesStand(name());
    });

    test("the firewall's container has no rights but those to change rules", async () => {
      const { HostConfig, Mounts } = JSON.parse(await docker("inspect", "-f", "{{json .}}", firewall())) as {
        HostConfig: Record<string, unknown>;
        Mounts: { Source: string; RW: boolean }[];
      };
      expect(HostConfig).toMatchObject({
        CapDrop: ["ALL"],
        CapAdd: expect.toSatisfy((added: string[]) => added.toSorted().join() === "DAC_OVERRIDE,NET_ADMIN,NET_RAW"),
        Privileged: false,
        ReadonlyRootfs: true,
        RestartPolicy: { Name: "unless-stopped" },
      });
      const writable = Mounts.filter(({ RW }) => RW).map(({ Source }) => Source);
      expect(writable.filter((source) => source !== "/dev/null" && !source.includes("/.cache/firewall/"))).toEqual([]);
      expect(Mounts.filter(({ Source }) => Source.endsWith(".sock"))).toEqual([]);
    });
    healthSuite(platform);
  },
  ["process"],
);

describePlatform("the firewall's container beside the API's", {}, healthSuite, ["filtered container"]);

function healthSuite(platform: PlatformUnderTest): void {
  const health = () => platform.api.call<{ parts: Record<string, unknown> }>("GET", "/healthz");
  const becomes = (wanted: number) =>
    waitUntil(`a ${wanted}`, async () => expectStatus(await health(), wanted).body.parts["firewall"], 30_000);

  test("/healthz answers 503 with a remedy while the firewall's container is stopped, and 200 after the remedy", async () => {
    const firewall = `${platform.instance.name}-firewall`;
    expect(await becomes(200)).toMatchObject({ ok: true });
    await docker("stop", firewall);
    const detail = expect.stringMatching(new RegExp(`${firewall} has not looked at its rules for.*make up`));
    expect(await becomes(503)).toEqual({ ok: false, detail });
    // As `make up` does.
    await platform.instance.compose("up", "-d", "firewall");
    expect(await becomes(200)).toMatchObject({ ok: true });
  });
}

describe("make up and make down", () => {
  let instance: TestInstance;
  let output: string;
  const conf = () => join(instance.folder, "conf.d");

  beforeAll(async () => {
    instance = await createTestInstance();
    // From here on only its settings are used.
    await instance.remove();
    await mkdir(conf(), { recursive: true });
    for (const closed of [instance.folder, conf()]) await chmod(closed, 0o700);
    output = await instance.make("up", "077");
  });

  afterAll(() => instance?.remove());

  test("make up sets the rules before the API starts", async () => {
    expect(output).toMatch(/ok {2}firewall +environments reach neither this machine/);
    await rulesStand(instance.name);
    expect(await rulesOf(instance.name)).toContainEqual(expect.stringMatching(/^-A POSTROUTING /));
    const apiStart = await docker("inspect", "-f", "{{.State.StartedAt}}", `${instance.name}-api`);
    const firstLine = (await firewallLog(instance.name))[0] ?? "";
    expect(Date.parse(firstLine.split(" ")[0] ?? "")).toBeLessThan(Date.parse(apiStart));
  });

  test("environments answer after make up in a checkout that only its owner may read", async () => {
    const { body } = expectStatus(await apiClient(instance).create({}), 201, { status: "running" });
    expectStatus(await visit(instance, hostOf(body.id)), 200);
  });

  test("make down removes the rules, every object, and all files of conf.d", async () => {
    // A platform that is killed during a reload leaves such files.
    await Promise.all(["enabled/env-left-1", ".reloading"].map((name) => writeFile(join(conf(), name), "")));
    await instance.make("down");
    expect(await rulesOf(instance.name)).toEqual([]);
    expect(await labelledObjects(instance.name)).toEqual([]);
    expect(await readdir(conf())).toEqual([]);
    expect(existsSync(join(ROOT, ".cache/firewall", instance.name))).toBe(false);
  });
});
