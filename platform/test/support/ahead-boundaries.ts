import { createEnvironment } from "../../usecases/environments/create-environment.ts";
import { fillLater } from "../../usecases/pool/warm-pool.ts";
import { numbered } from "./crash-scenarios.ts";
import { createFakeContext } from "./fake-context.ts";
import { waitUntil } from "./wait-until.ts";

/**
 * The step boundaries that the platform passes while it makes a network and an environment ahead, and while it
 * gives the environment away: found by doing so in memory, as FAILPOINT_FILE names them.
 */
export async function findAheadBoundaries(): Promise<{ making: string[]; claiming: string[] }> {
  const passed: string[] = [];
  const context = await createFakeContext((boundary) => passed.push(boundary));
  const { ahead, settings } = context;
  try {
    settings.networkPoolSize = settings.warmPoolSize = 1;
    fillLater(context);
    await waitUntil("the pools", () => ahead.networks.length === 1 && ahead.spares[0]?.state === "ready", 5_000, 10);
    await ahead.filling;
    const making = numbered(passed.splice(0));
    settings.networkPoolSize = settings.warmPoolSize = 0;
    await createEnvironment(context, {});
    return { making, claiming: numbered(passed) };
  } finally {
    context.stop.abort();
    await context.shippers.stopAll();
  }
}
