import type { EngineEventAction } from "../../workloads/docker/engine.ts";
import { watchHealth } from "../health/check-health.ts";
import type { Context } from "../context.ts";
import { reconcile } from "./reconcile.ts";
import { onIngressMoved, onSpareTrouble } from "../pool/reconcile-pools.ts";

/** What can change whether an environment answers. */
const RELEVANT_ACTIONS: ReadonlySet<EngineEventAction> = new Set([
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
export async function handleEngineEvents(context: Context, signal: AbortSignal): Promise<void> {
  for await (const event of context.engine.events(signal)) {
    if (event.container === context.settings.nginxContainer) {
      if (event.action === "start") onNginxStart(context);
      onIngressMoved(context, event);
    }
    if (event.env === "" || !RELEVANT_ACTIONS.has(event.action)) continue;
    if (event.action !== "start" && event.action !== "connect") onSpareTrouble(context, event.env);
    if (event.action === "oom") context.events.emit({ type: "environment.out_of_memory", env_id: event.env });
    if (event.action === "die") context.ongoing.creating.get(event.env)?.died.abort();
    const status = context.environments.get(event.env)?.status;
    if (status === "running" || status === "degraded") watchHealth(context, event.env);
  }
}

/** A new Nginx container is on no environment's network: put it back now instead of within the minute. */
function onNginxStart(context: Context): void {
  const pass = context.tasks.track(reconcile(context, { startup: false }));
  pass.catch((error: unknown) => {
    context.logger.error({ err: error }, "cannot reconcile after a start of Nginx; the loop will");
  });
}
