import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { NOTHING } from "../../domain/plan/observed.ts";
import { planUp } from "../../domain/plan/plan.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { withFailpoint } from "../../kernel/failpoint.ts";
import type { Needs } from "../deps.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { HealthGate } from "../health/health-gate.ts";
import type { Creation } from "./operations.ts";
import type { StepExecutor } from "./step-executor.ts";

type BringUpDeps = Needs<"environments" | "secrets" | "events" | "clock" | "failpoint"> & {
  steps: StepExecutor;
  gate: HealthGate;
  health: Pick<HealthChecks, "record">;
};

export type BringUp = ReturnType<typeof createBringUp>;

/**
 * Brings a drafted environment up: intent on disk, then its parts, then the wait for health. Returns its record,
 * `running`, or `degraded` where it runs but did not become healthy in time. Undoes nothing when it throws.
 */
export function createBringUp(deps: BringUpDeps) {
  const { environments, events, steps, gate, health, clock, failpoint } = deps;
  return async (
    record: EnvironmentRecord,
    secrets: Record<string, string>,
    { cancel, ended }: Creation,
  ): Promise<EnvironmentRecord> => {
    const { id: env_id, name } = record;
    await environments.save(record);
    if (record.secrets.length > 0)
      await withFailpoint(failpoint, "save-secrets", () => deps.secrets.save(env_id, secrets));
    events.emit({ type: "environment.creating", env_id, data: { name, image: primaryService(record).image } });
    await steps.apply(planUp(record, NOTHING, clock.now()));
    const last = await gate(record, { cancel: cancel.signal, ended: ended.signal });
    if (cancel.signal.aborted) {
      const detail = `Cannot finish creating environment "${env_id}": it was destroyed meanwhile.`;
      throw new PlatformError("conflict", detail);
    }
    if (last !== null) await health.record(env_id, last.timestamp, last.result);
    const status = last?.result.ok === true ? "running" : "degraded";
    const finished: EnvironmentRecord = { ...record, status };
    await environments.save(finished);
    events.emit({ type: `environment.${status}`, env_id });
    return finished;
  };
}
