import { byTurns } from "../by-turns.ts";
import { atMost, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

/** The first rounds on each side find caches cold, and do not count. */
const WARM_UP = 2;

type Sample = { create: number; destroy: number };

/** Create and destroy, one at a time, by turns on the bare engine and on the platform. */
export async function measureOne(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const [bare, platform]: [Sample[], Sample[]] = [[], []];

  async function onBareEngine(): Promise<void> {
    const { result, ms } = await timed(() => bench.bare.create());
    await bench.quiet();
    bare.push({ create: ms, destroy: (await timed(() => bench.bare.destroy(result))).ms });
  }

  async function onPlatform(): Promise<void> {
    const { result, ms } = await timed(() => bench.create({ name: "one" }));
    await bench.quiet();
    platform.push({ create: ms, destroy: (await timed(() => bench.destroy(result.id))).ms });
  }

  await byTurns(bench, bench.samples + WARM_UP, [onBareEngine, onPlatform]);
  const spread = (samples: Sample[], key: keyof Sample) => spreadOf(samples.slice(WARM_UP).map((each) => each[key]));
  const line = (row: keyof Sample, what: string, limit: number): Line => {
    const sides = { baseline: spread(bare, row), platform: spread(platform, row) };
    return ratioLine({ row, what, unit: "ms", ...sides, goal: atMost(limit) });
  };
  return {
    lines: [
      line("create", "POST /envs with a name, to the first 200 at its URL", 1),
      line("destroy", "DELETE of one", 1.15),
    ],
    raw: { bare, platform },
  };
}
