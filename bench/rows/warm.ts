import { atMost, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { waitUntil } from "../../platform/test/support/wait-until.ts";
import { timed, type Workbench } from "../workbench.ts";

const POOL_SIZE = 2;
const FILL_LIMIT_MS = 20_000;

/** `POST /envs {}` while the pool is full, by turns with a create on the bare engine. */
export async function measureWarm(bench: Workbench): Promise<{ lines: Line[]; raw: unknown; note?: string }> {
  await bench.withSettings({ WARM_POOL_SIZE: String(POOL_SIZE) });
  const [bare, platform]: number[][] = [[], []];
  for (let round = 0; round < bench.samples; round++) {
    if (!(await isFilled(bench))) return { lines: [], raw: null, note: "no warm pool" };
    await bench.quiet();
    const environment = await push(bare, () => bench.bare.create());
    await bench.bare.destroy(environment);
    await bench.quiet();
    const { id } = await push(platform, () => bench.create({}));
    await bench.quiet();
    await bench.destroy(id);
    bench.progress(`${round + 1} of ${bench.samples}`);
  }
  const what = "POST /envs {} from the warm pool, to the first 200 at its URL";
  const sides = { bare: spreadOf(bare ?? []), platform: spreadOf(platform ?? []) };
  return {
    lines: [ratioLine({ row: "warm", what, unit: "ms", ...sides, goal: atMost(0.05) })],
    raw: { bare, platform },
  };
}

async function push<T>(times: number[] | undefined, work: () => Promise<T>): Promise<T> {
  const holder: T[] = [];
  times?.push(await timed(async () => void holder.push(await work())));
  return holder[0] as T;
}

/** Whether as many environments wait as the pool holds; false when they do not within the limit. */
async function isFilled(bench: Workbench): Promise<boolean> {
  const filled = async (): Promise<boolean> => {
    bench.signal.throwIfAborted();
    return ((await bench.madeAhead())?.spares ?? 0) >= POOL_SIZE;
  };
  return waitUntil("the warm pool", filled, FILL_LIMIT_MS).catch(() => false);
}
