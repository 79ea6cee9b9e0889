import type { Logger } from "../../kernel/logger.ts";
import type { TaskTracker } from "../../kernel/task-tracker.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { WorkloadAction, Workloads } from "../../workloads/workloads.ts";
import type { Operations } from "../environments/operations.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { WarmPool } from "../pool/warm-pool.ts";
import type { Reconciler } from "./reconciler.ts";

/** Actions that can change whether an environment answers. */
const RELEVANT_ACTIONS: ReadonlySet<WorkloadAction> = new Set([
  "start",
  "die",
  "oom",
  "pause",
  "unpause",
  "connect",
  "disconnect",
  "destroy",
]);

export type EngineEventsDeps = {
  workloads: Pick<Workloads, "events">;
  environments: Pick<EnvironmentStore, "get">;
  events: Pick<EventLog, "emit">;
  health: Pick<HealthChecks, "watch">;
  pool: Pick<WarmPool, "onTrouble">;
  operations: Pick<Operations, "containerEnded">;
  reconcile: Reconciler;
  tasks: Pick<TaskTracker, "track">;
  logger: Pick<Logger, "error">;
};

/**
 * Follows the engine's events until `signal` aborts: an environment whose container changed is probed within a second
 * instead of at the next poll. Events are hints; the probe and the next look at the engine decide.
 */
export type HandleEngineEvents = (signal: AbortSignal) => Promise<void>;

export function createEngineEvents(deps: EngineEventsDeps): HandleEngineEvents {
  const { workloads, environments, events, health, pool, operations, reconcile, tasks, logger } = deps;

  /** A new Nginx container is on no environment's network: put it back now instead of within the minute. */
  function onEdgeStart(): void {
    tasks.track(reconcile({ startup: false })).catch((error: unknown) => {
      logger.error({ err: error }, "cannot reconcile after a start of Nginx; the loop will");
    });
  }

  return async (signal) => {
    for await (const { action, env } of workloads.events(signal)) {
      if (env === "") {
        if (action === "start") onEdgeStart();
        continue;
      }
      if (!RELEVANT_ACTIONS.has(action)) continue;
      if (action !== "start" && action !== "connect") pool.onTrouble(env);
      if (action === "oom") events.emit({ type: "environment.out_of_memory", env_id: env });
      if (action === "die") operations.containerEnded(env);
      const status = environments.get(env)?.status;
      if (status === "running" || status === "degraded") health.watch(env);
    }
  };
}
