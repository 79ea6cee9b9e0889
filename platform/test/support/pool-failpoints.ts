import { numbered } from "./crash-scenarios.ts";
import { createFakePlatform } from "./fake-platform.ts";
import { fillPools } from "./fill-pools.ts";

/**
 * The failpoints that the platform passes while it fills both pools with one each, and while it gives the warm
 * environment away: found by doing so in memory, as FAILPOINT_FILE names them.
 */
export async function findPoolFailpoints(): Promise<{ filling: string[]; acquiring: string[] }> {
  const passed: string[] = [];
  const platform = await createFakePlatform({ failpoint: (name) => passed.push(name) });
  try {
    await fillPools(platform, { networks: 1, warm: 1 });
    const filling = numbered(passed.splice(0));
    await fillPools(platform, {});
    await platform.make();
    return { filling, acquiring: numbered(passed) };
  } finally {
    platform.stop.abort();
    await platform.shippers.stopAll();
  }
}
