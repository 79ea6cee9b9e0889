import type { Context } from "../../usecases/context.ts";
import { fillLater } from "../../usecases/pool/warm-pool.ts";
import { waitUntil } from "./wait-until.ts";

export type PoolSizes = { networks?: number; spares?: number; images?: string[] };

/** Sets the sizes of both pools and waits until they are full. */
export async function fillPools(context: Context, sizes: PoolSizes): Promise<void> {
  const { ahead, settings } = context;
  settings.networkPoolSize = sizes.networks ?? 0;
  settings.warmPoolSize = sizes.spares ?? 0;
  settings.warmImages = sizes.images ?? [];
  const wanted = settings.warmPoolSize * (1 + settings.warmImages.length);
  fillLater(context);
  await waitUntil("the pools to be full", () => {
    const ready = ahead.spares.filter(({ state }) => state === "ready");
    return ahead.networks.length === settings.networkPoolSize && ready.length === wanted;
  });
  await ahead.filling;
}
