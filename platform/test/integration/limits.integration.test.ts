import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { SELDOM_RECONCILED, describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { addressOf, docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { runInside } from "../support/inside.ts";
import { describeTally, startSteadyClients } from "../support/steady-clients.ts";
import { waitUntil } from "../support/wait-until.ts";

/** So many answers others must get during an attack, each of them. */
const ANSWERS = 50;

const MIB = 2 ** 20;
const LOG_MAX_SIZE = MIB;
/** app.log and three rotated files. */
const LOG_FILES = 4;
/** Two files of 50 MB: Docker's own log of a container. */
const ENGINE_LOG_BOUND = 2 * 50 * 1000 * 1000;
const PIDS = 64;
const MEMORY_MB = 64;

/** Answers at `/`; `/fork`, `/memory` and `/log` begin an attack, which ends with the container. */
const ATTACKER = `
const { spawn } = require("node:child_process");
const attacks = {
  "/fork": () => setInterval(() => spawn("sh", ["-c", "while :; do (:) & done"], { stdio: "ignore" }).on("error", () => {}), 5),
  "/memory": () => { const held = []; for (;;) held.push(Buffer.alloc(1e7, 1)); },
  "/log": () => spawn("yes", ["x".repeat(100)], { stdio: "inherit" }),
};
require("node:http").createServer((request, response) => {
  response.end("ok", () => attacks[request.url]?.());
}).listen(3000);
`;

/** More connections than an Nginx on two processors takes: 8,192. */
const CONNECTIONS = 9_000;
const FLOOD_MS = 5_000;
/** Opens connections to each of some ports, begins a request on each, tries again where that fails, and prints the outcomes. */
const FLOOD = `
const { connect } = require("node:net");
const [host, ports, count, ms] = JSON.parse(process.argv[1]);
const outcomes = {};
function open(port) {
  const note = (outcome) => (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1);
  const socket = connect({ host, port }, () => (note("connected"), socket.write("GET / HTTP/1.1\\r\\nHost: x")));
  socket.on("error", ({ code }) => note(code));
  socket.on("close", () => setTimeout(open, 1000, port));
}
for (const port of ports) for (let n = 0; n < count; n++) open(port);
setTimeout(() => (console.log(JSON.stringify(outcomes)), process.exit()), ms);
`;

/**
 * Sends requests to a neighbour and the API during an attack, and expects every answer. `attack` gets a function that
 * waits until each of the two has answered ANSWERS times more.
 */
async function whileOthersAsk(
  platform: PlatformUnderTest,
  neighbour: string,
  attack: (othersAreServed: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const api = {
    port: Number(platform.instance.variables["PLATFORM_PORT"]),
    host: new URL(platform.instance.apiUrl).host,
  };
  const common = { clients: 1, pauseMs: 50, keepAlive: false };
  const asking = {
    neighbour: startSteadyClients({ ...common, port: platform.instance.nginxPort, host: hostOf(neighbour) }),
    api: startSteadyClients({ ...common, ...api, path: `/envs/${neighbour}` }),
  };
  const answered = () => Object.values(asking).map(({ tally }) => tally.answered);
  const othersAreServed = () => {
    const before = answered();
    const isEnough = () => answered().every((count, index) => count >= (before[index] ?? 0) + ANSWERS);
    return waitUntil(`${ANSWERS} answers of each`, isEnough, 60_000);
  };
  try {
    await attack(othersAreServed);
  } finally {
    await Promise.all(Object.values(asking).map(({ stop }) => stop()));
  }
  for (const [who, { tally }] of Object.entries(asking)) {
    console.log(describeTally(who, tally));
    expect({ who, failures: tally.failures }).toEqual({ who, failures: {} });
  }
}

/** Bytes of the files in a folder with a prefix. */
function bytesOf(folder: string, prefix: string): number {
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix));
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

describePlatform(
  "an environment's limits",
  { ...SELDOM_RECONCILED, LOG_MAX_SIZE: String(LOG_MAX_SIZE) },
  (platform) => {
    async function makeAttacker(): Promise<{ id: string; container: string }> {
      const resources = { pids: PIDS, memory_mb: MEMORY_MB };
      return platform.createDemo({ name: "attacker", command: ["node", "-e", ATTACKER], resources });
    }

    test("a container has the limits that were asked for, and its processes have no privileges to leave them", async () => {
      const { container } = await platform.createDemo({ resources: { pids: PIDS, memory_mb: MEMORY_MB, cpus: 0.5 } });
      const host = JSON.parse(await docker("inspect", "-f", "{{json .HostConfig}}", container)) as object;
      expect(host).toMatchObject({
        Memory: MEMORY_MB * MIB,
        MemorySwap: MEMORY_MB * MIB,
        NanoCpus: 500_000_000,
        PidsLimit: PIDS,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges:true"],
        LogConfig: { Type: "json-file", Config: { "max-size": "50m", "max-file": "2" } },
        Privileged: false,
        Binds: null,
        PidMode: "",
        IpcMode: "private",
      });
      const status = await runInside(container, `console.log(require("fs").readFileSync("/proc/1/status", "utf8"))`);
      const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1];
      // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE, and none of them in use.
      expect([field("CapBnd"), field("CapEff")]).toEqual(["00000000000004eb", "0000000000000000"]);
      expect([field("NoNewPrivs"), field("Seccomp")]).toEqual(["1", "2"]);
    });

    test("a fork bomb stays in its container, and neighbours and the API go on answering", async () => {
      const [attacker, neighbour] = await Promise.all([makeAttacker(), platform.createDemo({ name: "neighbour" })]);
      await whileOthersAsk(platform, neighbour.id, async (othersAreServed) => {
        await visit(platform.instance, hostOf(attacker.id), "/fork");
        const processes = async () =>
          Number(await docker("stats", "--no-stream", "--format", "{{.PIDs}}", attacker.container));
        await waitUntil("the bomb", async () => (await processes()) > PIDS / 2, 30_000);
        await othersAreServed();
        expect(await processes()).toBeLessThanOrEqual(PIDS);
        expectStatus(await platform.api.destroy(attacker.id), 200);
      });
    });

    test("a container that takes too much memory is killed alone, and can be recovered", async () => {
      const [attacker, neighbour] = await Promise.all([makeAttacker(), platform.createDemo({ name: "neighbour" })]);
      await whileOthersAsk(platform, neighbour.id, async (othersAreServed) => {
        await visit(platform.instance, hostOf(attacker.id), "/memory");
        const state = "{{.State.Status}} {{.State.ExitCode}}";
        const ended = async () => (await docker("inspect", "-f", state, attacker.container)) === "exited 137";
        await waitUntil("its end", ended, 30_000);
        const status = async () => (await platform.api.show(attacker.id)).body.status;
        await waitUntil("degraded", async () => (await status()) === "degraded", 30_000);
        await othersAreServed();
        const recovered = await platform.api.outage(attacker.id, "recover");
        expectStatus(recovered, 200, { status: "running" });
        expectStatus(await visit(platform.instance, hostOf(attacker.id)), 200);
        expectStatus(await platform.api.destroy(attacker.id), 200);
      });
    });

    test("a flood of connections to Nginx is refused while others are served and created", async () => {
      const resources = { pids: PIDS, memory_mb: 4 * MEMORY_MB };
      const attacker = await platform.createDemo({ name: "attacker", resources });
      const neighbour = await platform.createDemo({ name: "neighbour" });
      const nginx = await addressOf(`${platform.instance.name}-nginx`, attacker.network);
      await whileOthersAsk(platform, neighbour.id, async (othersAreServed) => {
        const flood = runInside(attacker.container, FLOOD, JSON.stringify([nginx, [80, 8081], CONNECTIONS, FLOOD_MS]));
        await othersAreServed();
        expectStatus(await platform.api.create({ name: "meanwhile" }), 201);
        const outcomes = JSON.parse(await flood) as Record<string, number>;
        console.log(`connections: ${JSON.stringify(outcomes)}`);
        expect(Object.keys(outcomes)).toEqual(["ECONNREFUSED"]);
        expect(outcomes["ECONNREFUSED"]).toBeGreaterThan(CONNECTIONS);
      });
    });

    test("a flood of log lines is bounded on disk, and neighbours and the API go on answering", async () => {
      const [attacker, neighbour] = await Promise.all([makeAttacker(), platform.createDemo({ name: "neighbour" })]);
      const engineLog = await docker("inspect", "-f", "{{.LogPath}}", attacker.container);
      const folder = join(platform.instance.folder, "logs", attacker.id);
      await whileOthersAsk(platform, neighbour.id, async (othersAreServed) => {
        await visit(platform.instance, hostOf(attacker.id), "/log");
        const sizes = () => [bytesOf(dirname(engineLog), ""), bytesOf(folder, "app.log")] as const;
        // The platform's own files were full and rotated; the size of Docker's depends on the machine.
        const isFlooded = () => sizes()[1] > (LOG_FILES - 1) * LOG_MAX_SIZE && sizes()[0] > sizes()[1];
        await waitUntil("full logs", isFlooded, 60_000);
        await othersAreServed();
        const [engine, ours] = sizes();
        console.log(`on disk: ${(engine / MIB).toFixed(1)} MiB of Docker's, ${(ours / MIB).toFixed(1)} MiB of ours`);
        expect(engine).toBeLessThan(ENGINE_LOG_BOUND + MIB);
        expect(ours).toBeLessThan((LOG_FILES + 1) * LOG_MAX_SIZE);
        expect((await platform.api.logs(attacker.id, "?lines=1")).body.lines).toHaveLength(1);
        expectStatus(await platform.api.destroy(attacker.id), 200);
      });
    });
  },
  ["process"],
);
