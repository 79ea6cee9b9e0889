import { once } from "node:events";
import type { Duplex } from "node:stream";
import PQueue from "p-queue";
import { expect, test } from "vitest";
import { describePlatform, hostOf, type PlatformUnderTest } from "../support/describe-platform.ts";
import { expectStatus } from "../support/expect-status.ts";
import { describeTally, startSteadyClients } from "../support/steady-clients.ts";
import { follow, upgrade, upload } from "../support/stream-clients.ts";
import { TALKATIVE_APP } from "../support/talkative-app.ts";
import { waitUntil } from "../support/wait-until.ts";

const OTHERS = 50;
const AT_ONCE = 5;
const UPLOAD_BYTES = 200 * 2 ** 20;

/** Creates and destroys other environments, of which some crash before, and some fail to start. */
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

/** Sends ascending numbers and keeps those that come back. */
function talk(socket: Duplex): { sent(): number; stop(): Promise<string> } {
  let [sent, echoed] = [0, ""];
  socket.on("data", (chunk: Buffer) => (echoed += chunk.toString()));
  const timer = setInterval(() => socket.write(`${sent++} `), 50);
  return {
    sent: () => sent,
    async stop() {
      clearInterval(timer);
      await waitUntil("the last number", () => echoed.endsWith(`${sent - 1} `)).catch(() => {});
      return echoed;
    },
  };
}

describePlatform(
  "requests in flight to one environment",
  {},
  (platform) => {
    test(`no request, upload, stream or WebSocket is cut while ${OTHERS} others are created, crash, fail and are destroyed`, async () => {
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
          console.log(describeTally(name, tally));
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

    test("streams and WebSockets of an environment end when it is destroyed", async () => {
      const { id } = await platform.createDemo({ name: "leaves", command: ["node", "-e", TALKATIVE_APP] });
      const [host, port] = [hostOf(id), platform.instance.nginxPort];
      const [events, socket] = [await follow("127.0.0.1", host, port), await upgrade("127.0.0.1", host, port)];
      socket.resume();
      try {
        const ended = once(socket, "close");
        expectStatus(await platform.api.destroy(id), 200);
        await waitUntil("the stream's end", async () => events.ended(), 20_000);
        await ended;
      } finally {
        socket.destroy();
        events.response.destroy();
      }
    });
  },
  ["process"],
);
