import { BENCH_APP } from "../bench-app.ts";
import type { BareEnvironment } from "../bare-engine.ts";
import { atMost, ratioLine, type Line } from "../line.ts";
import { load, waysTo, type Way } from "../load.ts";
import { member, severalAtOnce } from "../population.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";
import { hasWrk } from "../wrk.ts";

/** How many creates around the 10th, and before the last, are measured, one at a time. */
const MEASURED = 10;
const FIRST = 5;

/** How often wrk asks one environment, when there are few and when there are all. */
const LOADS = 3;
const LOAD_SECONDS = 4;

type Times = { early: number[]; late: number[] };
/** Requests a second, straight to a container and through Nginx. */
type Loads = Record<keyof Times, { straight: number[]; door: number[] }>;

/**
 * What a create costs when there are many over what it costs when there are few: first all on the bare
 * engine, which are then removed, then all on the platform, where they stay for the rows to come.
 */
export async function measureGrowth(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  if ((await bench.list()).length > 0) throw new Error("Cannot measure growth: there are environments already");

  const made: BareEnvironment[] = [];
  const bare = await grow(bench, async () => void made.push(await bench.bare.create({ command: BENCH_APP })));
  await severalAtOnce(made.map((environment) => () => bench.bare.destroy(environment)));
  await bench.quiet();
  const loads: Loads = { early: { straight: [], door: [] }, late: { straight: [], door: [] } };
  const platform = await grow(
    bench,
    (index) => bench.create(member(index)),
    (when) => loadOne(bench, loads[when]),
  );

  return { lines: linesOf(bench.many, bare, platform, loads), raw: { bare, platform, loads } };
}

/** Where wrk is not installed there are no figures of it; the front door's row says so. */
async function loadOne(bench: Workbench, { straight, door }: Loads["early"]): Promise<void> {
  const environment = (await bench.list()).find(({ name }) => name === member(0)["name"]);
  if (environment === undefined || !(await hasWrk(bench.signal))) return;
  const ways = await waysTo(bench, environment);
  const run = async (way: Way): Promise<number> =>
    (await load(bench, environment, { way, path: "/", seconds: LOAD_SECONDS })).perSecond;
  for (let round = 0; round < LOADS; round++) {
    straight.push(await run(ways.straight));
    door.push(await run(ways.door));
  }
}

function linesOf(many: number, bare: Times, platform: Times, loads: Loads): Line[] {
  const [bareGrowth, platformGrowth] = [growthOf(bare), growthOf(platform)];
  const sides = (key: keyof Times) => ({ bare: spreadOf(bare[key]), platform: spreadOf(platform[key]) });
  const there = (from: number) => `one create with ${from} to ${from + MEASURED - 1} environments there already`;
  return [
    {
      row: "growth",
      what: `create of the ${many}th over that of the 10th`,
      unit: "×",
      bare: spreadOf([bareGrowth]),
      platform: spreadOf([platformGrowth]),
      figure: platformGrowth / bareGrowth,
      figureUnit: "×",
      goal: atMost(1),
    },
    ratioLine({ row: "growth", what: there(FIRST), unit: "ms", ...sides("early"), goal: null }),
    ratioLine({ row: "growth", what: there(many - MEASURED), unit: "ms", ...sides("late"), goal: null }),
    ...loadLine(loads.early, FIRST + MEASURED),
    ...loadLine(loads.late, many),
  ];
}

function loadLine({ straight, door }: Loads["early"], count: number): Line[] {
  if (straight.length === 0) return [];
  const what = `a small answer, wrk with 64 connections, Nginx's address, with ${count} environments there`;
  const [bare, platform] = [spreadOf(straight), spreadOf(door)];
  return [ratioLine({ row: "growth", what, unit: "req/s", bare, platform, goal: null })];
}

/** Makes `many`; only the measured ones one at a time. `then` is called when there are few, and all. */
async function grow(
  bench: Workbench,
  create: (index: number) => Promise<unknown>,
  then: (when: keyof Times) => Promise<void> = async () => {},
): Promise<Times> {
  const times: Times = { early: [], late: [] };
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  const measure = async (into: number[], from: number, to: number): Promise<void> => {
    for (const index of range(from, to)) {
      await bench.quiet();
      into.push(await timed(() => create(index)));
    }
  };
  await severalAtOnce(range(0, FIRST).map((index) => () => create(index)));
  await measure(times.early, FIRST, FIRST + MEASURED);
  await then("early");
  bench.progress(`filling up to ${bench.many}`);
  await severalAtOnce(range(FIRST + MEASURED, bench.many - MEASURED).map((index) => () => create(index)));
  await measure(times.late, bench.many - MEASURED, bench.many);
  await then("late");
  return times;
}

function growthOf({ early, late }: Times): number {
  return spreadOf(late).median / spreadOf(early).median;
}
