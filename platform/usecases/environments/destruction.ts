import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { planDown } from "../../domain/plan/plan.ts";
import type { Needs } from "../deps.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { WarmPool } from "../pool/warm-pool.ts";
import { findEnvironment } from "./find-environment.ts";
import type { DestroyedEnvironment, Operations } from "./operations.ts";
import { persistIntent } from "./persist-intent.ts";
import { assertNotStopping } from "./shutting-down.ts";
import type { StepExecutor } from "./step-executor.ts";

type DestructionDeps = Needs<
  "environments" | "router" | "events" | "logs" | "locks" | "idle" | "logger" | "stopping"
> & {
  steps: StepExecutor;
  health: Pick<HealthChecks, "forget">;
  pool: Pick<WarmPool, "refill">;
  operations: Operations;
};

export type Destruction = ReturnType<typeof createDestruction>;

export function createDestruction(deps: DestructionDeps) {
  const { environments, router, steps, events, logs, health, pool, operations, locks, idle, logger, stopping } = deps;

  /** As `destroy`, unless `objects`, asked once the lock is held, calls the destruction off: null then. */
  async function destroyUnless(
    id: string,
    objects: (record: EnvironmentRecord) => boolean,
  ): Promise<DestroyedEnvironment | null> {
    const present = operations.destruction(id);
    if (present !== undefined) return present;
    const found = findEnvironment(environments, id);
    assertNotStopping(stopping, `destroy environment "${id}"`);
    operations.cancelCreation(id);
    const destruction = locks.run(id, async () => {
      const record = environments.get(id);
      // The former holder of the lock took it down: a creation that was cut short, or the reconciler.
      if (record === null) return destroyed(found);
      assertNotStopping(stopping, `destroy environment "${id}"`);
      return objects(record) ? null : idle.busyWhile(() => takeDown(record));
    });
    operations.beginDestruction(id, destruction);
    try {
      return await destruction;
    } finally {
      operations.endDestruction(id);
      pool.refill();
    }
  }

  /** Takes an environment down whose lock the caller holds. */
  async function takeDown(record: EnvironmentRecord): Promise<DestroyedEnvironment> {
    const { id } = record;
    // A creation that was cut off keeps its status: planDown then leaves no archive of an environment that never ran.
    const leaving: EnvironmentRecord = record.status === "creating" ? record : { ...record, status: "destroying" };
    if (leaving.status !== record.status) await persistIntent({ environments, logger }, leaving, "destroying");
    events.emit({ type: "environment.destroying", env_id: id });
    // A failure to disable the route shows again, with its reason, in the removal of the route.
    const traffic = await router.disable(id).catch(() => "busy" as const);
    // Of several at once Docker works on one while another's container ends, and is quicker the fewer calls wait.
    const isAlone = operations.destructions() === 1;
    await steps.apply(planDown(leaving, isAlone ? traffic : "busy"));
    health.forget(id);
    events.emit({ type: "environment.destroyed", env_id: id, owner: record.owner });
    return destroyed(record);
  }

  /** An environment that never ran left no archive. */
  function destroyed({ id, status }: EnvironmentRecord): DestroyedEnvironment {
    return { id, status: "destroyed", archived_logs: status === "creating" ? null : logs.archivePath(id) };
  }

  /**
   * Destroys an environment, cutting a creation in progress short. Two calls at once share one destruction and one
   * answer. A step that fails is thrown; the reconciler finishes the rest. `environment_not_found`; `shutting_down`
   * where it has not begun when the platform stops: the next start finishes it.
   */
  async function destroy(id: string): Promise<DestroyedEnvironment> {
    // Null: the call joined a destruction that was called off for a reason that is not this caller's.
    return (await destroyUnless(id, () => false)) ?? destroy(id);
  }

  return { destroy, destroyUnless, takeDown };
}
