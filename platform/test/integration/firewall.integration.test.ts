import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { broadcastOf, sendDatagram, sendFromInside, withDatagramListener } from "../support/datagrams.ts";
import { describePlatform } from "../support/describe-platform.ts";
import { docker, pauseContainer } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { TABLES } from "../support/firewall-machine.ts";
import { tryFromHere, tryFromInside, type Attempt } from "../support/inside.ts";
import { createTestInstance, labelledObjects, rulesStand } from "../support/test-instance.ts";
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

    const rulesStandSoon = () => waitUntil("the rules", () => rulesStand(name()), 20_000);

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
    ])("refuses environments again after %s", async (_, damage) => {
      const attempt = await makeAttempt();
      expect(await attempt()).toBe("ECONNREFUSED");
      const before = await rulesOf(name());
      const logged = (await firewallLog(name())).length;

      // Paused, so that the damage lasts until it was seen.
      await pauseContainer(firewall());
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

    test("refuses broadcast datagrams, which arrive without its rules", async () => {
      const { container, network } = await platform.createDemo();
      const addresses = ["255.255.255.255", await broadcastOf(network)];
      await withDatagramListener(async (port, heard) => {
        const all = addresses.map((host) => ({ host, port, toAll: true }));
        await pauseContainer(firewall());
        try {
          await iptables("-D", "INPUT", ...jump());
          await sendFromInside(container, all, "without");
          await waitUntil("the broadcasts", () => heard("without") === all.length);
        } finally {
          await docker("unpause", firewall());
        }
        await rulesStandSoon();
        await sendFromInside(container, all, "with");
        // Datagrams sent before this one arrive before it.
        await sendDatagram({ host: "127.0.0.1", port }, "the end");
        await waitUntil("the last datagram", () => heard("the end") === 1);
        expect(heard("with")).toBe(0);
      });
    });

    test("leaves the rules when it is stopped, and puts missing ones back when it is started", async () => {
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

    test("has no rights but those to change rules", async () => {
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
  },
  ["process"],
);

describePlatform(
  "/healthz",
  {},
  (platform) => {
    const health = () => platform.api.call<{ parts: Record<string, unknown> }>("GET", "/healthz");
    const becomes = (wanted: number) =>
      waitUntil(`a ${wanted}`, async () => expectStatus(await health(), wanted).body.parts["firewall"], 30_000);

    test("answers 503 with a remedy while the firewall's container is stopped, and 200 after the remedy", async () => {
      const firewall = `${platform.instance.name}-firewall`;
      expect(await becomes(200)).toMatchObject({ ok: true });
      await docker("stop", firewall);
      const detail = expect.stringMatching(new RegExp(`${firewall} has not looked at its rules for.*make up`));
      expect(await becomes(503)).toEqual({ ok: false, detail });
      // As `make up` does.
      await platform.instance.compose("up", "-d", "firewall");
      expect(await becomes(200)).toMatchObject({ ok: true });
    });
  },
  ["process", "container", "filtered container"],
);

test("make up sets the rules before the API starts, and make down removes them", async () => {
  const instance = await createTestInstance();
  onTestFinished(() => instance.remove());
  expect(await rulesOf(instance.name)).not.toEqual([]);
  // Only the instance's settings are used from here on.
  await instance.remove();
  expect(await rulesOf(instance.name)).toEqual([]);

  // Keeps make down from stopping the engine when this is its last platform.
  const environment = { ...process.env, ...instance.variables, ENGINE_PID_FILE: join(instance.folder, "no-engine") };
  const { stdout } = await run(join(ROOT, "scripts/up.sh"), { env: environment });
  expect(stdout).toMatch(/ok {2}firewall +environments reach neither this machine/);
  await rulesStand(instance.name);
  expect(await rulesOf(instance.name)).toContainEqual(expect.stringMatching(/^-A POSTROUTING /));
  const startOf = (part: string) => docker("inspect", "-f", "{{.State.StartedAt}}", `${instance.name}-${part}`);
  const [ruled, api] = [(await firewallLog(instance.name))[0]?.split(" ")[0] ?? "", await startOf("api")];
  expect(Date.parse(ruled)).toBeLessThan(Date.parse(api));

  await run(join(ROOT, "scripts/down.sh"), { env: environment });
  expect(await rulesOf(instance.name)).toEqual([]);
  expect(await labelledObjects(instance.name)).toEqual([]);
  expect(existsSync(join(ROOT, ".cache/firewall", instance.name))).toBe(false);
});
