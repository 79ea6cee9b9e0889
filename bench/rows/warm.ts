import { byTurns } from "../by-turns.ts";
import { atMost, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

/** `POST /envs {}` while the warm pool is full, by turns with a create on the bare engine. */
export async function measureWarm(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "2" });
  const [bare, platform]: [number[], number[]] = [[], []];

  async function onBareEngine(): Promise<void> {
    const { result, ms } = await timed(() => bench.bare.create());
    bare.push(ms);
    await bench.bare.destroy(result);
  }

  async function onPlatform(): Promise<void> {
    const { result, ms } = await timed(() => bench.create({}));
    platform.push(ms);
    await bench.quiet();
    await bench.destroy(result.id);
  }

  await byTurns(bench, bench.samples, [onBareEngine, onPlatform]);
  const what = "POST /envs {} from the warm pool, to the first 200 at its URL";
  const sides = { baseline: spreadOf(bare), platform: spreadOf(platform) };
  return {
    lines: [ratioLine({ row: "warm", what, unit: "ms", ...sides, goal: atMost(0.05) })],
    raw: { bare, platform },
  };
}
