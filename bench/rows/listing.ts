import { besideCallers } from "../beside-callers.ts";
import { startControlServer } from "../control-server.ts";
import { keptConnections, type KeptConnections } from "../kept-connections.ts";
import { atMost, type Line } from "../line.ts";
import { openLoop, type LoopTimes } from "../open-loop.ts";
import { populate } from "../population.ts";
import { inRealTime } from "../real-time.ts";
import { spreadOf } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const PER_SECOND = 100;
/** For each side, by turns: long enough for one health sweep. */
const SECONDS = 30;
const TURN_SECONDS = 5;
const CALLERS = { count: 2, everyMs: 0 };

type Pair = Record<"platform" | "control", LoopTimes>;

/**
 * `GET /envs` with many environments at a constant rate, first alone and then beside callers who create and destroy.
 * The baseline is a server that does nothing but answer as many bytes, by turns and at the same rate: its p99 is the
 * floor of this machine.
 */
export async function measureListing(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  await populate(bench);
  const { hostname, port, host } = new URL(bench.instance.apiUrl);
  const bytes = Buffer.byteLength(JSON.stringify(await bench.list()));
  const like = `${bench.instance.name}-api`;
  const server = await startControlServer(bytes, { like, label: bench.bare.instance });
  const clients: Record<keyof Pair, KeptConnections> = {
    platform: keptConnections({ address: hostname, port: Number(port), host, path: "/envs" }),
    control: keptConnections({ address: "127.0.0.1", port: server.port, host: "control", path: "/" }),
  };

  async function readBoth(seconds: number): Promise<Pair> {
    const pair: Pair = { platform: { latencies: [], lateness: [] }, control: { latencies: [], lateness: [] } };
    for (let done = 0; done < seconds; done += TURN_SECONDS)
      for (const side of ["platform", "control"] as const) {
        const rate = { perSecond: PER_SECOND, seconds: Math.min(TURN_SECONDS, seconds - done), signal: bench.signal };
        const { latencies, lateness } = await inRealTime(() => openLoop(rate, () => clients[side].ask()));
        pair[side].latencies.push(...latencies);
        pair[side].lateness.push(...lateness);
      }
    return pair;
  }

  try {
    await readBoth(2); // to warm up
    await bench.quiet();
    const alone = await readBoth(SECONDS);
    bench.progress("alone done");
    let beside = alone;
    const creates = await besideCallers(bench, CALLERS, async () => void (beside = await readBoth(SECONDS)));
    const late = spreadOf(beside.platform.lateness).p99.toFixed(1);
    return {
      lines: [
        ...linesOf(`GET /envs (${bench.many} environments), ${PER_SECOND} a second`, alone),
        ...linesOf(`the same beside ${CALLERS.count} callers who create and destroy`, beside),
      ],
      raw: { bytes, alone: sumUp(alone), beside: sumUp(beside), creates },
      note: `${creates.length} creates meanwhile; the client's own p99 of ${late} ms lateness is part of both sides`,
    };
  } finally {
    for (const client of Object.values(clients)) client.close();
    await server.stop();
  }
}

function linesOf(what: string, { platform, control }: Pair): Line[] {
  const [served, floor] = [spreadOf(platform.latencies), spreadOf(control.latencies)];
  const line = { row: "listing", unit: "ms", baseline: floor, platform: served, figureUnit: "ms" };
  return [
    { ...line, what: `${what}: p99`, figure: served.p99, goal: atMost(10) },
    { ...line, what: `${what}: p99 of a server that does nothing else`, figure: floor.p99, goal: null },
  ];
}

function sumUp(pair: Pair): Record<string, unknown> {
  const spreads = ({ latencies, lateness }: LoopTimes) => ({
    latencies: spreadOf(latencies),
    lateness: spreadOf(lateness),
  });
  return { platform: spreads(pair.platform), control: spreads(pair.control) };
}
