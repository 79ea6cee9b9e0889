import { createServer, type AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { DEFAULT_VERSION_PORTS, VERSION_HOST } from "../../routing/nginx/config-version.ts";
import { formatAddress } from "../../domain/network/subnets.ts";
import { visit } from "../support/api-client.ts";
import {
  broadcastOf,
  pingFromInside,
  sendDatagram,
  sendFromInside,
  withDatagramListener,
} from "../support/datagrams.ts";
import { describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { subnetOf } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import {
  lookUpFromInside,
  runInside,
  tryFromHere,
  tryFromInside,
  type Attempt,
  type Outcome,
} from "../support/inside.ts";
import { startOutsideMachine } from "../support/outside-machine.ts";
import { waitUntil } from "../support/wait-until.ts";

/** The answer of the firewall, and of a port without a listener; that there is a listener is shown from outside each time. */
const REFUSED = "ECONNREFUSED";

const INTERNAL_PORT = 8081;

/** Of clouds: most of them, Alibaba's, Oracle's older one, Azure's other one. */
const METADATA_ADDRESSES = ["169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"];

/** An environment's container, and the addresses of its network. */
type Place = { id: string; container: string; network: string; address: string; gateway: string; nginx: string };

async function makePlace(platform: PlatformUnderTest, body: Record<string, unknown> = {}): Promise<Place> {
  const { id, container, network } = await platform.createDemo(body);
  const { base } = await subnetOf(network);
  const [gateway, nginx, address] = [1, 2, 3].map((offset) => formatAddress(base + offset));
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

// The edge proxy and the API on every address are the harder case: neither must be a way round the rules.
describePlatform(
  "from inside an environment",
  { NGINX_BIND: "0.0.0.0", PLATFORM_HOST: "0.0.0.0" },
  (platform) => {
    describe("another environment", () => {
      test("another environment is out of reach by its address, its names, and through Nginx on any port", async () => {
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
        const hosts = [other, own].map(({ id }) => hostOf(id)).concat(VERSION_HOST, "unknown.localhost");
        const attempts = ports.flatMap((port) =>
          hosts.flatMap((hostHeader) => ["/", "/up", "/health"].map((path) => ({ port, hostHeader, path }))),
        );
        const outcomes = await tryFromInside(
          own.container,
          attempts.map((attempt) => ({ host: own.nginx, ...attempt })),
        );
        expect(outcomesOf(outcomes)).toEqual([REFUSED]);
        // There is no listener: the attempts from this machine end alike. Nginx listens on one address.
        expect(outcomesOf(await tryFromHere(ports.map((port) => ({ host: own.nginx, port }))))).toEqual([REFUSED]);

        const names = ["app", other.container, other.id, `${platform.instance.name}-nginx`];
        const found = await lookUpFromInside(own.container, names);
        expect(found).toEqual([own.address, "unknown", "unknown", own.nginx]);
      });
    });

    describe("this machine", () => {
      test("this machine's services, the API, the edge proxy and Docker are out of reach on every address", async () => {
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

          const proxy = addresses.map((host) => ({ host, port: nginxPort, hostHeader: hostOf(other.id) }));
          const closed = addresses.flatMap((host) => [22, 2375, 2376].map((one) => ({ host, port: one })));
          const outcomes = await tryFromInside(own.container, [...open, ...api, ...proxy, ...closed]);
          expect(outcomes.filter(({ outcome }) => outcome !== REFUSED)).toEqual([]);
          // Its loopback is not the machine's.
          const loopback = [port, nginxPort, apiPort].map((one) => ({ host: "127.0.0.1", port: one }));
          expect(outcomesOf(await tryFromInside(own.container, loopback))).toEqual(["ECONNREFUSED"]);
        });
        expectStatus(await visit(platform.instance, hostOf(other.id)), 200);
      });

      test("this machine is out of reach by datagrams, to one address or to all", async () => {
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
          // Datagrams sent before this one arrive before it.
          await sendDatagram({ host: own.gateway, port }, "the end");
          await waitUntil("the last datagram", () => heard("the end") === 1);
          expect(heard("from inside")).toBe(0);
        });
      });

      test("an environment has no Docker socket, and no IPv6 to go round the rules", async () => {
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

    test("metadata services of clouds are out of reach, while the rest of the world is not", async () => {
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

    test("an environment without egress opens no connection to the outside, and its URL answers", async () => {
      const outside = await startOutsideMachine(platform.instance.name);
      try {
        const [free, closed] = await Promise.all([makePlace(platform), makePlace(platform, { egress: false })]);
        expect((await platform.api.show(closed.id)).body).toMatchObject({ egress: false });
        const world = [{ host: outside.address, port: 80, hostHeader: "x" }];
        expect(outcomesOf(await tryFromInside(free.container, world))).toEqual(["200"]);

        // A datagram needs no answer to carry data out, and neither does the look-up of a name: none arrives.
        const datagram = [{ host: outside.address, port: 80 }];
        expect(await sendFromInside(free.container, datagram, "from the free one")).toEqual(["answered"]);
        expect(await pingFromInside(free.container, outside.address)).toBe("answered");
        const elsewhere = [outside.address, free.address].map((host) => ({ host, port: 80 }));
        const [connections, sent, pinged, found] = await Promise.all([
          tryFromInside(closed.container, elsewhere),
          sendFromInside(closed.container, datagram, "from the closed one"),
          pingFromInside(closed.container, outside.address),
          lookUpFromInside(closed.container, ["app", "secret.example.com"]),
        ]);
        expect([outcomesOf(connections), sent, pinged]).toEqual([["timeout"], ["timeout"], "timeout"]);
        expect(found).toEqual([closed.address, "unknown"]);
        expect(await outside.heard()).toEqual({ datagrams: ["from the free one"], pings: 1 });
        await withListener(async (port) => {
          const machine = machineAddresses().map((host) => ({ host, port }));
          const near = [{ host: outside.linkLocal, port: 80 }, ...machine];
          expect(outcomesOf(await tryFromHere(near))).toEqual(["connected"]);
          expect(outcomesOf(await tryFromInside(closed.container, near))).toEqual([REFUSED]);
        });
        const page = await visit(platform.instance, hostOf(closed.id));
        expect(page).toMatchObject({ status: 200 });
        expect(page.text).toContain(closed.id);
      } finally {
        await outside.remove();
      }
    });
  },
  ["process"],
  { root: "admin" },
);
