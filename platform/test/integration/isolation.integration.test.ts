import { createServer, type AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { DEFAULT_VERSION_PORTS, VERSION_HOST } from "../../routing/nginx/config-version.ts";
import { visit } from "../support/api-client.ts";
import {
  broadcastOf,
  pingFromInside,
  sendDatagram,
  sendFromInside,
  withDatagramListener,
} from "../support/datagrams.ts";
import { describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { runInside, tryFromHere, tryFromInside, type Attempt, type Outcome } from "../support/inside.ts";
import { startOutsideMachine } from "../support/outside-machine.ts";
import { waitUntil } from "../support/wait-until.ts";

/** What the firewall answers, and whoever has nobody listening; that somebody listens there is shown from outside each time. */
const REFUSED = "ECONNREFUSED";

const INTERNAL_PORT = 8081;

/** Of clouds: most of them, Alibaba's, Oracle's older one, Azure's other one. */
const METADATA_ADDRESSES = ["169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"];

/** An environment's places: its container, and the addresses of its network. */
type Place = { id: string; container: string; network: string; address: string; gateway: string; nginx: string };

async function makePlace(platform: PlatformUnderTest, body: Record<string, unknown> = {}): Promise<Place> {
  const { id, container, network } = await platform.createDemo(body);
  const format = "{{(index .IPAM.Config 0).Subnet}}";
  const base = (await docker("network", "inspect", "-f", format, network)).replace(/\d+\/\d+$/, "");
  const last = Number((await docker("network", "inspect", "-f", format, network)).replace(/.*\.(\d+)\/\d+$/, "$1"));
  const [gateway, nginx, address] = [1, 2, 3].map((offset) => `${base}${last + offset}`);
  return { id, container, network, address: address ?? "", gateway: gateway ?? "", nginx: nginx ?? "" };
}

function outcomesOf(outcomes: Outcome[]): string[] {
  return [...new Set(outcomes.map(({ outcome }) => outcome))].sort();
}

/** This machine's own IPv4 addresses. Networks of other instances come and go: their gateways are left out. */
function machineAddresses(): string[] {
  const all = Object.entries(networkInterfaces()).filter(([name]) => !name.startsWith("br-"));
  return all.flatMap(([, found]) =>
    (found ?? []).filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address),
  );
}

/** A service of this machine that listens on every address. */
async function withListener<T>(use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

// The front door and the API on every address are the harder case: neither must be a way round.
describePlatform(
  "from inside an environment",
  { NGINX_BIND: "0.0.0.0", PLATFORM_HOST: "0.0.0.0" },
  (platform) => {
    describe("another environment is out of reach", () => {
      test("by its address, its names, and through Nginx on any port", async () => {
        const [own, other] = await Promise.all([makePlace(platform), makePlace(platform)]);
        const direct = { host: other.address, port: 3000 };
        const nginxOutside = { host: platform.instance.variables["NGINX_ADDRESS"] ?? "", port: 80 };
        const proof = { ...nginxOutside, hostHeader: hostOf(other.id) };
        expect(outcomesOf(await tryFromHere([direct, nginxOutside]))).toEqual(["connected"]);
        expect(outcomesOf(await tryFromHere([proof, { ...proof, port: INTERNAL_PORT }]))).toEqual(["200"]);

        // Docker's own separation drops these.
        const beyond = [direct, { host: other.nginx, port: 80 }, proof, { ...proof, port: INTERNAL_PORT }];
        expect(outcomesOf(await tryFromInside(own.container, beyond))).toEqual(["timeout"]);

        const { first, count } = DEFAULT_VERSION_PORTS;
        const ports = [80, INTERNAL_PORT, ...Array.from({ length: count }, (_, index) => first + index)];
        const hosts = [other, own].map(({ id }) => hostOf(id)).concat(VERSION_HOST, "nobody.localhost");
        const attempts = ports.flatMap((port) =>
          hosts.flatMap((hostHeader) => ["/", "/up", "/health"].map((path) => ({ port, hostHeader, path }))),
        );
        const outcomes = await tryFromInside(
          own.container,
          attempts.map((attempt) => ({ host: own.nginx, ...attempt })),
        );
        expect(outcomesOf(outcomes)).toEqual([REFUSED]);
        // That is nobody there, and not a firewall: from this machine it is the same, and Nginx knows one address.
        expect(outcomesOf(await tryFromHere(ports.map((port) => ({ host: own.nginx, port }))))).toEqual([REFUSED]);

        const lookup = `const { lookup } = require("node:dns").promises;
          const names = process.argv.slice(1);
          const timeout = new Promise((done) => setTimeout(done, 4000, "unknown"));
          const ask = (name) => Promise.race([lookup(name).then(({ address }) => address, () => "unknown"), timeout]);
          Promise.all(names.map(ask)).then((found) => { console.log(found.join(" ")); process.exit(); });`;
        const names = ["app", other.container, other.id, `${platform.instance.name}-nginx`];
        const found = (await runInside(own.container, lookup, ...names)).split(" ");
        expect(found).toEqual([own.address, "unknown", "unknown", own.nginx]);
      });
    });

    describe("this machine is out of reach", () => {
      test("its services, the API, the front door and Docker, on every address it has", async () => {
        const [own, other] = await Promise.all([makePlace(platform), makePlace(platform)]);
        const { nginxPort, apiUrl } = platform.instance;
        const apiPort = Number(new URL(apiUrl).port);
        const platformGateway = platform.instance.variables["NGINX_ADDRESS"]?.replace(/\d+$/, "1") ?? "";
        const addresses = [own.gateway, other.gateway, platformGateway, ...machineAddresses()];
        await withListener(async (port) => {
          const open: Attempt[] = addresses.flatMap((host) => [
            { host, port },
            { host, port: nginxPort },
          ]);
          expect(outcomesOf(await tryFromHere(open))).toEqual(["connected"]);
          const api = addresses.map((host) => ({ host, port: apiPort, hostHeader: host, path: "/healthz" }));
          expect(outcomesOf(await tryFromHere(api))).toEqual(["200"]);

          const door = addresses.map((host) => ({ host, port: nginxPort, hostHeader: hostOf(other.id) }));
          const closed = addresses.flatMap((host) => [22, 2375, 2376].map((one) => ({ host, port: one })));
          const outcomes = await tryFromInside(own.container, [...open, ...api, ...door, ...closed]);
          expect(outcomes.filter(({ outcome }) => outcome !== REFUSED)).toEqual([]);
          // Its own loopback is its own.
          const loopback = [port, nginxPort, apiPort].map((one) => ({ host: "127.0.0.1", port: one }));
          expect(outcomesOf(await tryFromInside(own.container, loopback))).toEqual(["ECONNREFUSED"]);
        });
        expectStatus(await visit(platform.instance, hostOf(other.id)), 200);
      });

      test("by datagrams, to one address or to all", async () => {
        const own = await makePlace(platform);
        const addresses = [own.gateway, ...machineAddresses()];
        await withDatagramListener(async (port, heard) => {
          for (const host of addresses) await sendDatagram({ host, port }, "from here");
          await waitUntil("every datagram from here", () => heard("from here") === addresses.length);

          // firewall.integration.test.ts shows that without the rules those to all are heard.
          const all = ["255.255.255.255", await broadcastOf(own.network)].map((host) => ({ host, port, toAll: true }));
          const each = addresses.map((host) => ({ host, port }));
          const outcomes = await sendFromInside(own.container, [...all, ...each], "from inside");
          expect(outcomes).toEqual(["sent", "sent", ...each.map(() => REFUSED)]);
          // What was sent before it has arrived by then.
          await sendDatagram({ host: own.gateway, port }, "the end");
          await waitUntil("the last datagram", () => heard("the end") === 1);
          expect(heard("from inside")).toBe(0);
        });
      });

      test("there is no Docker socket in it, and no IPv6 to go round the rules", async () => {
        const { container } = await makePlace(platform);
        const script = `const { existsSync, readFileSync } = require("node:fs");
          const sockets = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"].filter(existsSync);
          const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\\n").filter((line) => /\\.sock/.test(line));
          const addresses = Object.values(require("node:os").networkInterfaces()).flat();
          const six = addresses.filter(({ family, internal }) => family === "IPv6" && !internal);
          console.log(JSON.stringify({ sockets, mounts, six }));`;
        expect(JSON.parse(await runInside(container, script))).toEqual({ sockets: [], mounts: [], six: [] });
      });
    });

    test("the metadata addresses of clouds are out of reach, while the rest of the world is not", async () => {
      const outside = await startOutsideMachine(platform.instance.name);
      try {
        const { container } = await makePlace(platform);
        const world = { host: outside.address, port: 80, hostHeader: "x" };
        const linkLocal = { ...world, host: outside.linkLocal };
        expect(outcomesOf(await tryFromHere([world, linkLocal]))).toEqual(["200"]);
        expect(outcomesOf(await tryFromInside(container, [world]))).toEqual(["200"]);
        const metadata = METADATA_ADDRESSES.map((host) => ({ host, port: 80 }));
        expect(outcomesOf(await tryFromInside(container, [linkLocal, ...metadata]))).toEqual([REFUSED]);
      } finally {
        await outside.remove();
      }
    });

    test("without egress there is no way out at all, and its URL answers all the same", async () => {
      const outside = await startOutsideMachine(platform.instance.name);
      try {
        const [free, closed] = await Promise.all([makePlace(platform), makePlace(platform, { egress: false })]);
        expect((await platform.api.show(closed.id)).body).toMatchObject({ egress: false });
        const world = [{ host: outside.address, port: 80, hostHeader: "x" }];
        expect(outcomesOf(await tryFromInside(free.container, world))).toEqual(["200"]);

        const elsewhere = [outside.address, free.address].map((host) => ({ host, port: 80 }));
        expect(outcomesOf(await tryFromInside(closed.container, elsewhere))).toEqual(["timeout"]);
        // What does not ask for an answer could carry data out, too: nothing arrives.
        const datagram = [{ host: outside.address, port: 80 }];
        expect(await sendFromInside(free.container, datagram, "from the free one")).toEqual(["answered"]);
        expect(await sendFromInside(closed.container, datagram, "from the closed one")).toEqual(["timeout"]);
        expect(await pingFromInside(free.container, outside.address)).toBe("answered");
        expect(await pingFromInside(closed.container, outside.address)).toBe("timeout");
        expect(await outside.heard()).toEqual({ datagrams: ["from the free one"], pings: 1 });
        await withListener(async (port) => {
          const machine = machineAddresses().map((host) => ({ host, port }));
          const near = [{ host: outside.linkLocal, port: 80 }, ...machine];
          expect(outcomesOf(await tryFromHere(near))).toEqual(["connected"]);
          expect(outcomesOf(await tryFromInside(closed.container, near))).toEqual([REFUSED]);
        });
        // Names are not asked for outside either: they could carry data out.
        const resolve = `const { lookup } = require("node:dns").promises;
          const ask = (name) => lookup(name).then(({ address }) => address, () => "unknown");
          Promise.all([ask("app"), ask("secret.example.com")])
            .then((found) => console.log(found.join(" ")));`;
        expect(await runInside(closed.container, resolve)).toBe(`${closed.address} unknown`);

        const page = await visit(platform.instance, hostOf(closed.id));
        expect(page).toMatchObject({ status: 200 });
        expect(page.text).toContain(closed.id);
      } finally {
        await outside.remove();
      }
    });
  },
  ["process"],
  { withTokens: true },
);
