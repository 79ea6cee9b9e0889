import { startControlServer } from "../control-server.ts";
import { keptConnections, type KeptConnections } from "../kept-connections.ts";
import { atMost, type Line } from "../line.ts";
import { percentOf, watchPace, type Span } from "../machine-pace.ts";
import { joinLoops, latenciesClearOf, openLoop, type LoopFigures } from "../open-loop.ts";
import { withOwnTurn } from "../own-turn.ts";
import { populate } from "../population.ts";
import { spreadOf, type Spread } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const PER_SECOND = 100;
/** So long for each side, by turns: each meets what comes every half minute, as health sweeps do. */
const SECONDS = 60;
const TURN_SECONDS = 5;
/** Creates, each followed by its destroy, that go on at once meanwhile. */
const CREATORS = 2;

/** `slow`: when the machine itself was. */
type Pair = { platform: LoopFigures; control: LoopFigures; slow: Span[] };

/**
 * `GET /envs` with many environments at a constant rate, alone and while others are created and destroyed; by
 * turns with it, at the same rate, as many bytes from a server that does nothing else and is treated as the API is.
 */
export async function measureListing(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  await populate(bench);
  const { hostname, port, host } = new URL(bench.instance.apiUrl);
  const answer = JSON.stringify(await bench.list());
  const api = `${bench.instance.name}-api`;
  const control = await startControlServer(Buffer.byteLength(answer), { like: api, label: bench.bare.instance });
  const platform = keptConnections({ address: hostname, port: Number(port), host, path: "/envs" });
  const other = keptConnections({ address: "127.0.0.1", port: control.port, host: "control", path: "/" });
  // Those who create meanwhile are part of this process, and ask as promptly.
  const read = (target: KeptConnections, seconds: number): Promise<LoopFigures> =>
    withOwnTurn(() => openLoop({ perSecond: PER_SECOND, seconds, signal: bench.signal }, () => target.ask()));
  const readBoth = async (seconds: number): Promise<Pair> => {
    const turns: { platform: LoopFigures[]; control: LoopFigures[] } = { platform: [], control: [] };
    const pace = await watchPace();
    try {
      for (let left = seconds; left > 0; left -= TURN_SECONDS) {
        const turn = Math.min(left, TURN_SECONDS);
        turns.platform.push(await read(platform, turn));
        turns.control.push(await read(other, turn));
      }
      return { platform: joined(turns.platform), control: joined(turns.control), slow: await pace.stop() };
    } finally {
      pace.drop();
    }
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
    const [slowAlone, slowMeanwhile] = [alone, meanwhile].map(({ slow }) => percentOf(slow, 2000 * SECONDS).toFixed(1));
    return {
      lines: [
        ...linesOf(`GET /envs (${bench.many} environments), ${PER_SECOND} a second`, alone),
        ...linesOf(`the same while ${CREATORS} at a time are created and destroyed`, meanwhile),
      ],
      raw: { answerBytes: Buffer.byteLength(answer), alone: sumUp(alone), meanwhile: sumUp(meanwhile), creates },
      note:
        `${creates} creates meanwhile; the sender's own p99 of ${late} ms lateness is part of both sides' figures; ` +
        `the machine itself was slow ${slowAlone} % of the time alone and ${slowMeanwhile} % of it meanwhile`,
    };
  } finally {
    platform.close();
    other.close();
    await control.stop();
  }
}

/** All turns of one side; throws where a request failed. */
function joined(turns: LoopFigures[]): LoopFigures {
  const all = joinLoops(turns);
  if (Object.keys(all.failures).length > 0) throw new Error(`requests failed: ${JSON.stringify(all.failures)}`);
  return all;
}

function linesOf(what: string, { platform, control, slow }: Pair): Line[] {
  const spread = spreadOf(platform.latencies);
  const line = { row: "listing", unit: "ms", bare: spreadOf(control.latencies), platform: spread, figureUnit: "ms" };
  const clear = spreadOf(latenciesClearOf(slow, platform));
  return [
    { ...line, what: `${what}: p99`, figure: spread.p99, goal: atMost(10) },
    {
      ...line,
      what: `${what}: p99 of those that met no moment in which the machine itself was slow`,
      bare: spreadOf(latenciesClearOf(slow, control)),
      platform: clear,
      figure: clear.p99,
      goal: null,
    },
    {
      ...line,
      what: `${what}: p99 less that of a server doing nothing else`,
      figure: spread.p99 - line.bare.p99,
      goal: null,
    },
    { ...line, what: `${what}: slowest, less that server's`, figure: spread.max - line.bare.max, goal: null },
  ];
}

function sumUp({ platform, control, slow }: Pair): Record<string, unknown> {
  const side = (loop: LoopFigures): Record<string, Spread> => ({
    latencies: spreadOf(loop.latencies),
    clear: spreadOf(latenciesClearOf(slow, loop)),
    lateness: spreadOf(loop.lateness),
  });
  return { platform: side(platform), control: side(control), slow };
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
