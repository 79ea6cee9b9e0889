import { startControlServer } from "../control-server.ts";
import { keptConnections, type KeptConnections } from "../kept-connections.ts";
import { atMost, type Line } from "../line.ts";
import { openLoop, type OpenLoop } from "../open-loop.ts";
import { populate } from "../population.ts";
import { spreadOf, type Spread } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const PER_SECOND = 100;
/** So long for each side, by turns: each meets what comes every half minute, as health sweeps do. */
const SECONDS = 60;
const TURN_SECONDS = 5;
/** Creates, each followed by its destroy, that go on at once meanwhile. */
const CREATORS = 2;

type Pair = { platform: OpenLoop; control: OpenLoop };

/**
 * `GET /envs` with many environments at a constant rate, alone and while others are created and destroyed; by
 * turns with it, at the same rate, as many bytes from a server that does nothing else.
 */
export async function measureListing(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  await populate(bench);
  const { hostname, port, host } = new URL(bench.instance.apiUrl);
  const answer = JSON.stringify(await bench.list());
  const control = await startControlServer(Buffer.byteLength(answer));
  const platform = keptConnections({ address: hostname, port: Number(port), host, path: "/envs" });
  const other = keptConnections({ address: "127.0.0.1", port: control.port, host: "control", path: "/" });
  const read = (target: KeptConnections, seconds: number): Promise<OpenLoop> =>
    openLoop({ perSecond: PER_SECOND, seconds, signal: bench.signal }, () => target.ask());
  const readBoth = async (seconds: number): Promise<Pair> => {
    const turns: { platform: OpenLoop[]; control: OpenLoop[] } = { platform: [], control: [] };
    for (let left = seconds; left > 0; left -= TURN_SECONDS) {
      const turn = Math.min(left, TURN_SECONDS);
      turns.platform.push(await read(platform, turn));
      turns.control.push(await read(other, turn));
    }
    return { platform: joined(turns.platform), control: joined(turns.control) };
  };
  try {
    await readBoth(2); // to warm up
    await bench.quiet();
    const alone = await readBoth(SECONDS);
    bench.progress("alone done");
    const creating = createMeanwhile(bench);
    // Whatever came of it: none of them may go on into the next row.
    const meanwhile = await readBoth(SECONDS).finally(() => creating.stop());
    const creates = creating.creates();
    const late = spreadOf(meanwhile.platform.lateness).p99.toFixed(1);
    return {
      lines: [
        ...linesOf(`GET /envs (${bench.many} environments), ${PER_SECOND} a second`, alone),
        ...linesOf(`the same while ${CREATORS} at a time are created and destroyed`, meanwhile),
      ],
      raw: { answerBytes: Buffer.byteLength(answer), alone: sumUp(alone), meanwhile: sumUp(meanwhile), creates },
      note: `${creates} creates meanwhile; the sender's own p99 of ${late} ms lateness is part of both sides' figures`,
    };
  } finally {
    platform.close();
    other.close();
    control.stop();
  }
}

/** All turns of one side; throws where a request failed. */
function joined(turns: OpenLoop[]): OpenLoop {
  const failures = turns.map((turn) => turn.failures).filter((counts) => Object.keys(counts).length > 0);
  if (failures.length > 0) throw new Error(`requests failed: ${JSON.stringify(failures)}`);
  return {
    latencies: turns.flatMap(({ latencies }) => latencies),
    lateness: turns.flatMap(({ lateness }) => lateness),
    failures: {},
  };
}

function linesOf(what: string, { platform, control }: Pair): Line[] {
  const spread = spreadOf(platform.latencies);
  const line = { row: "listing", unit: "ms", bare: spreadOf(control.latencies), platform: spread, figureUnit: "ms" };
  return [
    { ...line, what: `${what}: p99`, figure: spread.p99, goal: atMost(10) },
    {
      ...line,
      what: `${what}: p99 less that of a server doing nothing else`,
      figure: spread.p99 - line.bare.p99,
      goal: null,
    },
    { ...line, what: `${what}: slowest, less that server's`, figure: spread.max - line.bare.max, goal: null },
  ];
}

function sumUp(pair: Pair): Record<string, Record<string, Spread>> {
  const sides = Object.entries(pair).map(([side, { latencies, lateness }]) => [
    side,
    { latencies: spreadOf(latencies), lateness: spreadOf(lateness) },
  ]);
  return Object.fromEntries(sides);
}

function createMeanwhile(bench: Workbench): { stop(): Promise<void>; creates(): number } {
  const stopping = new AbortController();
  let creates = 0;
  async function createOnAndOn(name: string): Promise<void> {
    while (!stopping.signal.aborted) {
      const { id } = await bench.create({ name });
      creates++;
      await bench.destroy(id);
    }
  }
  const ended = Promise.all(Array.from({ length: CREATORS }, (_, index) => createOnAndOn(`meanwhile-${index}`)));
  ended.catch(() => {}); // told by stop
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
    creates: () => creates,
  };
}
