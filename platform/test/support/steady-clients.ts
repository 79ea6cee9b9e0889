import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** The outcomes of a steady stream of requests so far. */
export type Tally = {
  answered: number;
  /** Every outcome but a whole 200, by the error's code or the status. */
  failures: Record<string, number>;
  /** Milliseconds of each answered request. */
  latencies: number[];
  /** Requests over a connection that had carried one before. */
  reused: number;
};

export type SteadyOptions = {
  /** 127.0.0.1 when left out. */
  address?: string;
  port: number;
  host: string;
  path?: string;
  /** Connections at the same time. */
  clients: number;
  /** Milliseconds between an answer and the next request of a client. */
  pauseMs: number;
  /** Whether connections are used again, as by browsers; else there is one for each request. */
  keepAlive: boolean;
};

/** Sends requests until it is stopped, which finishes those in progress and returns the tally. */
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
function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** One line of a report. */
export function describeTally(name: string, { answered, reused, latencies }: Tally): string {
  const [median, p95] = [quantile(latencies, 0.5), quantile(latencies, 0.95)].map((ms) => ms.toFixed(0));
  return `${name}: ${answered} answered, ${reused} over a kept connection, median ${median} ms, p95 ${p95} ms`;
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

/** One request; returns its status, or the code of the error that cut it. */
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
