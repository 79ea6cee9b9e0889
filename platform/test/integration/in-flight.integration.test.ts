import { once } from "node:events";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import PQueue from "p-queue";
import { expect, test } from "vitest";
import { describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { quantile, startSteadyClients, type Tally } from "../support/steady-clients.ts";
import { follow, upgrade, upload } from "../support/stream-clients.ts";
import { TALKATIVE_APP } from "../support/talkative-app.ts";
import { waitUntil } from "../support/wait-until.ts";

const OTHERS = 50;
const AT_ONCE = 5;
const UPLOAD_BYTES = 200 * 2 ** 20;

/** Others come and go: most are created and destroyed, some crash before, some cannot even start. */
async function comeAndGo(platform: PlatformUnderTest): Promise<void> {
  const turns = new PQueue({ concurrency: AT_ONCE });
  const one = async (index: number): Promise<void> => {
    if (index % 10 === 9) {
      const failing = { name: "fails", command: ["node", "-e", "process.exit(1)"] };
      expectStatus(await platform.api.create(failing), 422);
      return;
    }
    const { id } = await platform.createDemo({ name: `other-${index}` });
    if (index % 10 === 4) expectStatus(await platform.api.outage(id, "crash"), 200);
    expectStatus(await platform.api.destroy(id), 200);
  };
  await Promise.all(Array.from({ length: OTHERS }, (_, index) => turns.add(() => one(index))));
}

/** Sends ascending numbers and takes note of each that comes back. */
function talk(socket: Duplex): { sent(): number; stop(): Promise<string> } {
  let [sent, echoed] = [0, ""];
  socket.on("data", (chunk: Buffer) => (echoed += chunk.toString()));
  const timer = setInterval(() => socket.write(`${sent++} `), 50);
  return {
    sent: () => sent,
    async stop() {
      clearInterval(timer);
      for (let tries = 0; tries < 100 && !echoed.endsWith(`${sent - 1} `); tries++) await sleep(50);
      return echoed;
    },
  };
}

function tell(what: string, { answered, reused, latencies }: Tally): void {
  const [median, p95] = [quantile(latencies, 0.5), quantile(latencies, 0.95)].map((ms) => ms.toFixed(0));
  const over = `${reused} over a kept connection`;
  process.stdout.write(`${what}: ${answered} answered, ${over}, median ${median} ms, p95 ${p95} ms\n`);
}

describePlatform(
  "what is in flight to one environment",
  {},
  (platform) => {
    test(`is not cut while ${OTHERS} others are created, crash, fail and are destroyed`, async () => {
      const { id } = await platform.createDemo({ name: "steady", command: ["node", "-e", TALKATIVE_APP] });
      const [host, port] = [hostOf(id), platform.instance.nginxPort];
      const socket = await upgrade("127.0.0.1", host, port);
      const events = await follow("127.0.0.1", host, port);
      const talking = talk(socket);
      const common = { port, host };
      const clients = {
        fresh: startSteadyClients({ ...common, clients: 2, pauseMs: 20, keepAlive: false }),
        eager: startSteadyClients({ ...common, clients: 4, pauseMs: 10, keepAlive: true }),
        kept: startSteadyClients({ ...common, clients: 4, pauseMs: 50, keepAlive: true }),
        slow: startSteadyClients({ ...common, path: "/drip", clients: 3, pauseMs: 0, keepAlive: false }),
      };
      try {
        const uploading = upload("127.0.0.1", host, UPLOAD_BYTES, port);
        await comeAndGo(platform);
        expect((await uploading).body).toBe(String(UPLOAD_BYTES));

        for (const [name, { stop }] of Object.entries(clients)) {
          const tally = await stop();
          tell(name, tally);
          expect({ name, failures: tally.failures }).toEqual({ name, failures: {} });
        }
        expect(clients.fresh.tally.answered).toBeGreaterThan(200);
        expect(clients.eager.tally.answered).toBeGreaterThan(400);
        expect(clients.kept.tally.answered).toBeGreaterThan(200);
        for (const { tally } of [clients.eager, clients.kept]) expect(tally.reused).toBeGreaterThan(0);
        expect(clients.slow.tally.answered).toBeGreaterThanOrEqual(3);

        const echoed = await talking.stop();
        expect(echoed).toBe(Array.from({ length: talking.sent() }, (_, n) => `${n} `).join(""));
        expect(socket.destroyed).toBe(false);
        expect(events.ended()).toBe(false);
        expect(events.numbers.length).toBeGreaterThan(200);
        expect(events.numbers).toEqual(events.numbers.map((_, index) => index));
      } finally {
        socket.destroy();
        events.response.destroy();
        await Promise.all([talking.stop(), ...Object.values(clients).map(({ stop }) => stop())]);
      }
    }, 300_000);

    test("ends at once with that environment", async () => {
      const { id } = await platform.createDemo({ name: "leaves", command: ["node", "-e", TALKATIVE_APP] });
      const [host, port] = [hostOf(id), platform.instance.nginxPort];
      const [events, socket] = [await follow("127.0.0.1", host, port), await upgrade("127.0.0.1", host, port)];
      socket.resume();
      try {
        const ended = once(socket, "close");
        expectStatus(await platform.api.destroy(id), 200);
        await waitUntil("the stream's end", async () => events.ended(), 5_000);
        await ended;
      } finally {
        socket.destroy();
        events.response.destroy();
      }
    });
  },
  ["process"],
);
