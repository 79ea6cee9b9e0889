import type { EngineEventAction } from "../engine/engine.ts";
import { watchHealth } from "./check-health.ts";
import type { Context } from "./context.ts";

/** What can change whether an environment answers. */
const TELLING: ReadonlySet<EngineEventAction> = new Set([
  "start",
  "die",
  "oom",
  "pause",
  "unpause",
  "connect",
  "disconnect",
  "destroy",
]);

/**
 * Follows the engine's events until `signal` aborts: whatever happens to an environment's container is
 * looked at within a second instead of at the next poll.
 */
export async function reactToEngine(context: Context, signal: AbortSignal): Promise<void> {
  for await (const event of context.engine.events(signal)) {
    if (event.env === "" || !TELLING.has(event.action)) continue;
    if (event.action === "die") context.ongoing.creating.get(event.env)?.died.abort();
    const status = context.environments.get(event.env)?.status;
    if (status === "running" || status === "degraded") watchHealth(context, event.env);
  }
}
