import { atMost, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

/** The first ones on each side find caches cold, and are thrown away. */
const WARM_UP = 2;

type Sample = { create: number; destroy: number };

/** Create and destroy, one at a time: by turns on the bare engine and on the platform. */
export async function measureOne(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const [bare, platform]: Sample[][] = [[], []];
  for (let round = 0; round < bench.samples + WARM_UP; round++) {
    const sides = [
      async () => bare?.push(await bareOnce(bench)),
      async () => platform?.push(await platformOnce(bench, `one-${round}`)),
    ];
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) await side();
    bench.progress(`${round + 1} of ${bench.samples + WARM_UP}`);
  }
  const spread = (samples: Sample[] | undefined, key: keyof Sample) =>
    spreadOf((samples ?? []).slice(WARM_UP).map((sample) => sample[key]));
  const line = (row: string, what: string, key: keyof Sample): Line =>
    ratioLine({ row, what, unit: "ms", bare: spread(bare, key), platform: spread(platform, key), goal: atMost(1) });
  return {
    lines: [
      line("create", "POST /envs with a name, to the first 200 at its URL", "create"),
      line("destroy", "DELETE of one", "destroy"),
    ],
    raw: { bare, platform },
  };
}

async function bareOnce(bench: Workbench): Promise<Sample> {
  await bench.quiet();
  const started = performance.now();
  const environment = await bench.bare.create();
  const create = performance.now() - started;
  await bench.quiet();
  return { create, destroy: await timed(() => bench.bare.destroy(environment)) };
}

async function platformOnce(bench: Workbench, name: string): Promise<Sample> {
  await bench.quiet();
  const started = performance.now();
  const { id } = await bench.create({ name });
  const create = performance.now() - started;
  await bench.quiet();
  return { create, destroy: await timed(() => bench.destroy(id)) };
}
