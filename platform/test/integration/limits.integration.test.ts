import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { visit } from "../support/api-client.ts";
import { SELDOM_RECONCILED, describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { addressOf, docker } from "../support/docker.ts";
import { expectStatus } from "../support/expect-status.ts";
import { runInside } from "../support/inside.ts";
import { quantile, startSteadyClients, type Tally } from "../support/steady-clients.ts";
import { waitUntil } from "../support/wait-until.ts";

const ATTACK_MS = 8_000;

const MIB = 2 ** 20;
const LOG_MAX_SIZE = MIB;
/** app.log and the three old ones. */
const LOG_FILES = 4;
/** Docker's own log of a container: two files of 50 MB. */
const ENGINE_LOG_BOUND = 2 * 50 * 1000 * 1000;
const PIDS = 64;
const MEMORY_MB = 64;

/** Answers at `/`; `/fork`, `/memory` and `/log` make it misbehave. Each is bounded by the container's limits, and by its end. */
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

/** More than an Nginx on two processors has places for: 8,192. */
const CONNECTIONS = 9_000;
/** Opens so many connections to each of the ports of a host, begins a request on each, and tries again where that fails; prints how each attempt ended. */
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

function tell(who: string, { answered, latencies }: Tally): void {
  const [median, p95] = [quantile(latencies, 0.5), quantile(latencies, 0.95)].map((ms) => ms.toFixed(0));
  process.stdout.write(`  ${who}: ${answered} answered, median ${median} ms, p95 ${p95} ms\n`);
}

/** Asks a neighbour and the API all the while, and expects every answer. */
async function whileOthersAsk(platform: PlatformUnderTest, neighbour: string, attack: () => Promise<unknown>) {
  const api = {
    port: Number(platform.instance.variables["PLATFORM_PORT"]),
    host: new URL(platform.instance.apiUrl).host,
  };
  const common = { clients: 1, pauseMs: 50, keepAlive: false };
  const asking = {
    neighbour: startSteadyClients({ ...common, port: platform.instance.nginxPort, host: hostOf(neighbour) }),
    api: startSteadyClients({ ...common, ...api, path: `/envs/${neighbour}` }),
  };
  try {
    await attack();
  } finally {
    await Promise.all(Object.values(asking).map(({ stop }) => stop()));
  }
  for (const [who, { tally }] of Object.entries(asking)) {
    tell(who, tally);
    expect({ who, failures: tally.failures }).toEqual({ who, failures: {} });
    expect(tally.answered).toBeGreaterThan(20);
  }
}

/** Bytes of the files in a folder whose names begin like this. */
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

    test("are those of its container, and its processes have no privileges to leave them", async () => {
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

    test("hold a fork bomb, and neighbours and the API go on answering", async () => {
      const [attacker, neighbour] = await Promise.all([makeAttacker(), platform.createDemo({ name: "neighbour" })]);
      await whileOthersAsk(platform, neighbour.id, async () => {
        await visit(platform.instance, hostOf(attacker.id), "/fork");
        let most = 0;
        const end = performance.now() + ATTACK_MS;
        while (performance.now() < end) {
          const pids = await docker("stats", "--no-stream", "--format", "{{.PIDs}}", attacker.container);
          most = Math.max(most, Number(pids));
        }
        expect(most).toBeGreaterThan(PIDS / 2);
        expect(most).toBeLessThanOrEqual(PIDS);
        expectStatus(await platform.api.destroy(attacker.id), 200);
      });
    });

    test("hold a memory hog, which is killed alone and can be recovered", async () => {
      const [attacker, neighbour] = await Promise.all([makeAttacker(), platform.createDemo({ name: "neighbour" })]);
      await whileOthersAsk(platform, neighbour.id, async () => {
        await visit(platform.instance, hostOf(attacker.id), "/memory");
        const state = "{{.State.Status}} {{.State.ExitCode}}";
        const ended = async () => (await docker("inspect", "-f", state, attacker.container)) === "exited 137";
        await waitUntil("it to be killed", ended, 20_000);
        const status = async () => (await platform.api.show(attacker.id)).body.status;
        await waitUntil("it to be degraded", async () => (await status()) === "degraded", 15_000);
        const recovered = await platform.api.outage(attacker.id, "recover");
        expectStatus(recovered, 200, { status: "running" });
        expectStatus(await visit(platform.instance, hostOf(attacker.id)), 200);
        expectStatus(await platform.api.destroy(attacker.id), 200);
      });
    });

    test("hold a flood of connections to Nginx, which are refused, while others are served and created", async () => {
      const resources = { pids: PIDS, memory_mb: 4 * MEMORY_MB };
      const attacker = await platform.createDemo({ name: "attacker", resources });
      const neighbour = await platform.createDemo({ name: "neighbour" });
      const nginx = await addressOf(`${platform.instance.name}-nginx`, attacker.network);
      await whileOthersAsk(platform, neighbour.id, async () => {
        const attack = JSON.stringify([nginx, [80, 8081], CONNECTIONS, ATTACK_MS]);
        const flood = runInside(attacker.container, FLOOD, attack);
        await sleep(ATTACK_MS / 4);
        expectStatus(await platform.api.create({ name: "meanwhile" }), 201);
        const outcomes = JSON.parse(await flood) as Record<string, number>;
        process.stdout.write(`  connections: ${JSON.stringify(outcomes)}\n`);
        expect(Object.keys(outcomes)).toEqual(["ECONNREFUSED"]);
        expect(outcomes["ECONNREFUSED"]).toBeGreaterThan(CONNECTIONS);
      });
    });

    test("hold a flood of log lines, on the disk as in the time it takes from others", async () => {
      const [attacker, neighbour] = await Promise.all([makeAttacker(), platform.createDemo({ name: "neighbour" })]);
      const engineLog = await docker("inspect", "-f", "{{.LogPath}}", attacker.container);
      const folder = join(platform.instance.folder, "logs", attacker.id);
      await whileOthersAsk(platform, neighbour.id, async () => {
        await visit(platform.instance, hostOf(attacker.id), "/log");
        await sleep(ATTACK_MS);
        const [engine, ours] = [bytesOf(dirname(engineLog), ""), bytesOf(folder, "app.log")];
        process.stdout.write(
          `  on disk: ${(engine / MIB).toFixed(1)} MiB of Docker's, ${(ours / MIB).toFixed(1)} MiB of ours\n`,
        );
        // Ours were full and rotated; how much of Docker's is full depends on the machine.
        expect(engine).toBeGreaterThan(ours);
        expect(engine).toBeLessThan(ENGINE_LOG_BOUND + MIB);
        expect(ours).toBeGreaterThan(LOG_MAX_SIZE);
        expect(ours).toBeLessThan((LOG_FILES + 1) * LOG_MAX_SIZE);
        expect((await platform.api.logs(attacker.id, "?lines=1")).body.lines).toHaveLength(1);
        expectStatus(await platform.api.destroy(attacker.id), 200);
      });
    });
  },
  ["process"],
);
