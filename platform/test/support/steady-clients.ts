import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** What a steady stream of requests has met so far. */
export type Tally = {
  answered: number;
  /** Anything but a whole 200: the error's code or the status, with how often. */
  failures: Record<string, number>;
  /** Milliseconds of each answered request. */
  latencies: number[];
  /** How many of all went over a connection that had carried one before. */
  reused: number;
};

export type SteadyOptions = {
  /** 127.0.0.1 when left out. */
  address?: string;
  port: number;
  host: string;
  path?: string;
  /** Connections that ask at the same time. */
  clients: number;
  /** Milliseconds between an answer and the next request of a client. */
  pauseMs: number;
  /** Kept and used again, as browsers do; otherwise one for each request. */
  keepAlive: boolean;
};

/** Asks without end until stopped, which returns the tally; every request under way is finished first. */
export function startSteadyClients(options: SteadyOptions): { tally: Tally; stop(): Promise<Tally> } {
  const tally: Tally = { answered: 0, failures: {}, latencies: [], reused: 0 };
  const stopping = new AbortController();
  const clients = Array.from({ length: options.clients }, () => run(options, tally, stopping.signal));
  return {
    tally,
    async stop() {
      stopping.abort();
      await Promise.all(clients);
      return tally;
    },
  };
}

/** One number of a sorted copy: `quantile(values, 0.95)`. 0 where there are none. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

async function run(options: SteadyOptions, tally: Tally, signal: AbortSignal): Promise<void> {
  const agent = options.keepAlive ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
  while (!signal.aborted) {
    const started = performance.now();
    const outcome = await ask(options, agent, tally);
    if (outcome === "200") {
      tally.answered++;
      tally.latencies.push(performance.now() - started);
    } else {
      tally.failures[outcome] = (tally.failures[outcome] ?? 0) + 1;
    }
    await sleep(options.pauseMs);
  }
  if (agent !== false) agent.destroy();
}

/** One request: its status, or what cut it. */
function ask(
  { address = "127.0.0.1", port, host, path = "/" }: SteadyOptions,
  agent: Agent | false,
  tally: Tally,
): Promise<string> {
  return new Promise((done) => {
    const fail = (error: NodeJS.ErrnoException): void => done(error.code ?? error.message);
    const options = { host: address, port, path, agent, headers: { host } };
    const outgoing = request(options, (response) => {
      response.on("error", fail);
      response.on("end", () => done(String(response.statusCode)));
      response.resume();
    });
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error("silent for 20 s")));
    outgoing.on("error", fail);
    outgoing.once("socket", () => (tally.reused += outgoing.reusedSocket ? 1 : 0));
    outgoing.end();
  });
}
