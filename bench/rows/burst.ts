import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { atMost, ratioLine, type Line } from "../line.ts";
import { spreadOf } from "../statistics.ts";
import { timed, type Workbench } from "../workbench.ts";

const run = promisify(execFile);
const AT_ONCE = 50;
const CREATES_PER_RELOAD = 4;

type Round = { create: number; destroy: number; createReloads: number; destroyReloads: number };

/** Fifty creates at once until the last one answers, then fifty destroys at once: by turns, on both sides. */
export async function measureBurst(bench: Workbench): Promise<{ lines: Line[]; raw: unknown }> {
  await bench.withSettings({ WARM_POOL_SIZE: "0" });
  const rounds = Math.max(1, Math.round(bench.samples / 7));
  const [bare, platform]: Round[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const sides = [
      async () => bare?.push(await bareBurst(bench)),
      async () => platform?.push(await platformBurst(bench)),
    ];
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) await side();
    bench.progress(`${round + 1} of ${rounds}`);
  }
  const spread = (side: Round[] | undefined, key: keyof Round) => spreadOf((side ?? []).map((round) => round[key]));
  const line = (row: string, what: string, key: "create" | "destroy", limit: number): Line =>
    ratioLine({ row, what, unit: "ms", bare: spread(bare, key), platform: spread(platform, key), goal: atMost(limit) });
  const reloads = (what: string, key: "createReloads" | "destroyReloads", goal: Line["goal"]): Line => {
    const counted = spread(platform, key);
    const figure = counted.max / AT_ONCE;
    return { row: "burst", what, unit: "reloads", bare: null, platform: counted, figure, figureUnit: "", goal };
  };
  return {
    lines: [
      line("burst", `${AT_ONCE} creates at once, until the last one answers at its URL`, "create", 1.1),
      reloads("Nginx reloads per create of those", "createReloads", atMost(1 / CREATES_PER_RELOAD)),
      line("burst", `DELETE of ${AT_ONCE} at once`, "destroy", 1),
      reloads("Nginx reloads per destroy of those", "destroyReloads", null),
    ],
    raw: { bare, platform },
  };
}

async function bareBurst(bench: Workbench): Promise<Round> {
  await bench.quiet();
  const started = performance.now();
  const made = await Promise.all(Array.from({ length: AT_ONCE }, () => bench.bare.create()));
  const create = performance.now() - started;
  await bench.quiet();
  const destroy = await timed(() => Promise.all(made.map((environment) => bench.bare.destroy(environment))));
  return { create, destroy, createReloads: 0, destroyReloads: 0 };
}

async function platformBurst(bench: Workbench): Promise<Round> {
  await bench.quiet();
  const before = await countReloads(bench);
  const started = performance.now();
  const names = Array.from({ length: AT_ONCE }, (_, index) => `burst-${index}`);
  const made = await Promise.all(names.map((name) => bench.create({ name })));
  const create = performance.now() - started;
  await bench.quiet();
  const between = await countReloads(bench);
  const destroy = await timed(() => Promise.all(made.map(({ id }) => bench.destroy(id))));
  const after = await countReloads(bench);
  return { create, destroy, createReloads: between - before, destroyReloads: after - between };
}

/** Told by Nginx itself, which notes every reload in its log. */
async function countReloads({ instance }: Workbench): Promise<number> {
  const { stderr } = await run("docker", ["logs", `${instance.name}-nginx`], { maxBuffer: 2 ** 28 });
  return stderr.split("(SIGHUP) received").length - 1;
}
