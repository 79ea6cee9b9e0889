import { BENCH_APP } from "../bench-app.ts";
import type { BareEnvironment } from "../bare-engine.ts";
import { atMost, ratioLine, type Line } from "../line.ts";
import { member, severalAtOnce } from "../population.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

/** How many creates are measured, one at a time, around the 10th and before the last. */
const MEASURED = 10;
const FIRST = 5;

type Times = { early: number[]; late: number[] };

/**
 * A create among many environments over a create among few: first all on the bare engine, which are then removed,
 * then all on the platform, where they stay for the rows to come.
 */
export async function measureGrowth(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  if ((await bench.list()).length > 0) throw new Error("Cannot measure growth: there are environments already");

  const made: BareEnvironment[] = [];
  const bare = await grow(bench, async () => void made.push(await bench.bare.create({ command: BENCH_APP })));
  await severalAtOnce(made.map((environment) => () => bench.bare.destroy(environment)));
  await bench.quiet();
  const platform = await grow(bench, (index) => bench.create(member(index)));
  return { lines: linesOf(bench.many, bare, platform), raw: { bare, platform } };
}

function linesOf(many: number, bare: Times, platform: Times): Line[] {
  const sides = (key: keyof Times) => ({ baseline: spreadOf(bare[key]), platform: spreadOf(platform[key]) });
  const among = (from: number) => `one create beside ${from} to ${from + MEASURED - 1} environments`;
  return [
    ratioLine({
      row: "growth",
      what: `create of the ${many}th over create of the 10th`,
      unit: "×",
      baseline: spreadOf([growthOf(bare)]),
      platform: spreadOf([growthOf(platform)]),
      goal: atMost(1),
    }),
    ratioLine({ row: "growth", what: among(FIRST), unit: "ms", ...sides("early"), goal: null }),
    ratioLine({ row: "growth", what: among(many - MEASURED), unit: "ms", ...sides("late"), goal: null }),
  ];
}

/** Creates as many as the bench has; only the measured ones one at a time. */
async function grow(bench: Workbench, create: (index: number) => Promise<unknown>): Promise<Times> {
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  const fill = (from: number, to: number) => severalAtOnce(range(from, to).map((index) => () => create(index)));
  const measure = async (from: number): Promise<number[]> => {
    const times: number[] = [];
    for (const index of range(from, from + MEASURED)) {
      await bench.quiet();
      times.push((await timed(() => create(index))).ms);
    }
    return times;
  };
  await fill(0, FIRST);
  const early = await measure(FIRST);
  bench.progress(`filling up to ${bench.many}`);
  await fill(FIRST + MEASURED, bench.many - MEASURED);
  return { early, late: await measure(bench.many - MEASURED) };
}

function growthOf({ early, late }: Times): number {
  return spreadOf(late).median / spreadOf(early).median;
}
