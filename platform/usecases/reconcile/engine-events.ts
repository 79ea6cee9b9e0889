import { isUp } from "../../domain/environment/record.ts";
import type { Needs } from "../deps.ts";
import type { Operations } from "../environments/operations.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { WarmPool } from "../pool/warm-pool.ts";
import type { Reconcile } from "./reconciler.ts";

type EngineEventsDeps = Needs<"workloads" | "environments" | "events" | "tasks" | "logger"> & {
  health: Pick<HealthChecks, "watch">;
  pool: Pick<WarmPool, "onTrouble">;
  operations: Pick<Operations, "containerEnded">;
  reconcile: Reconcile;
};

/**
 * Follows the engine's events until `signal` aborts: an environment whose container changed is probed within a second
 * instead of at the next poll. Events are hints; the probe and the next look at the engine decide.
 */
export function createEngineEvents(deps: EngineEventsDeps) {
  const { workloads, environments, events, health, pool, operations, reconcile, tasks, logger } = deps;

  /** A new Nginx container is on no environment's network: put it back now instead of within the minute. */
  function onEdgeStart(): void {
    tasks.track(reconcile({ startup: false })).catch((error: unknown) => {
      logger.error({ err: error }, "cannot reconcile after a start of Nginx; the loop will");
    });
  }

  return async (signal: AbortSignal): Promise<void> => {
    for await (const { action, env } of workloads.events(signal)) {
      if (env === "" && action === "start") onEdgeStart();
      // The end that a kill causes has an event of its own.
      if (env === "" || action === "kill") continue;
      if (action !== "start" && action !== "connect") pool.onTrouble(env);
      if (action === "oom") events.emit({ type: "environment.out_of_memory", env_id: env });
      if (action === "die") operations.containerEnded(env);
      const record = environments.get(env);
      if (record !== null && isUp(record)) health.watch(env);
    }
  };
}
