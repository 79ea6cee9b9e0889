import type { FakePlatform } from "./fake-platform.ts";
import { waitUntil } from "./wait-until.ts";

export type PoolSizes = { networks?: number; warm?: number; images?: string[] };

/** Sets the sizes of both pools and waits until they are full. */
export async function fillPools(platform: FakePlatform, sizes: PoolSizes): Promise<void> {
  const { pool, networkPool, settings, networkPoolSize } = platform;
  networkPoolSize.now = sizes.networks ?? 0;
  settings.warmPoolSize = sizes.warm ?? 0;
  settings.warmImages = sizes.images ?? [];
  pool.refill();
  networkPool.refill();
  await waitUntil("the pools to be full", () => {
    const [warm, networks] = [pool.stats(), networkPool.stats()];
    return warm.ready >= warm.wanted && networks.ready >= networks.wanted;
  });
  await pool.whenIdle();
  await networkPool.whenIdle();
}

/** Fills the pools and lets nothing be made after that. */
export async function fillPoolsOnce(platform: FakePlatform, sizes: PoolSizes): Promise<void> {
  await fillPools(platform, sizes);
  platform.networkPoolSize.now = 0;
  platform.settings.warmPoolSize = 0;
}
