import { byTurns } from "../by-turns.ts";
import { atMost, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

const AT_ONCE = 50;

type Round = { create: number; destroy: number };

/** Fifty creates at once until the last one answers, then fifty destroys at once: by turns, on both sides. */
export async function measureBurst(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const [bare, platform]: [Round[], Round[]] = [[], []];

  async function measure<T>(create: (index: number) => Promise<T>, destroy: (made: T) => Promise<void>) {
    const indexes = Array.from({ length: AT_ONCE }, (_, index) => index);
    const { result, ms } = await timed(() => Promise.all(indexes.map(create)));
    await bench.quiet();
    return { create: ms, destroy: (await timed(() => Promise.all(result.map(destroy)))).ms };
  }

  await byTurns(bench, Math.max(1, Math.round(bench.samples / 7)), [
    async () => void bare.push(await measure(() => bench.bare.create(), bench.bare.destroy)),
    async () =>
      void platform.push(
        await measure(
          (index) => bench.create({ name: `burst-${index}` }),
          ({ id }) => bench.destroy(id),
        ),
      ),
  ]);
  const line = (what: string, key: keyof Round, goal: Line["goal"]): Line => {
    const spread = (rounds: Round[]) => spreadOf(rounds.map((round) => round[key]));
    return ratioLine({ row: "burst", what, unit: "ms", baseline: spread(bare), platform: spread(platform), goal });
  };
  return {
    lines: [
      line(`${AT_ONCE} creates at once, until the last one answers at its URL`, "create", atMost(1.1)),
      line(`DELETE of ${AT_ONCE} at once`, "destroy", null),
    ],
    raw: { bare, platform },
  };
}
