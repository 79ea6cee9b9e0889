import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { NOTHING } from "../../domain/plan/observed.ts";
import { planUp } from "../../domain/plan/plan.ts";
import type { Clock } from "../../kernel/clock.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { withFailpoint, type Failpoint } from "../../kernel/failpoint.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { SecretStore } from "../../store/secrets/secret-store.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { HealthGate } from "../health/health-gate.ts";
import type { Creation } from "./operations.ts";
import type { StepExecutor } from "./step-executor.ts";

export type BringUpDeps = {
  environments: EnvironmentStore;
  secrets: Pick<SecretStore, "save">;
  events: Pick<EventLog, "emit">;
  steps: StepExecutor;
  gate: HealthGate;
  health: Pick<HealthChecks, "record">;
  clock: Pick<Clock, "now">;
  failpoint: Failpoint;
};

/**
 * Brings a drafted environment up: intent on disk, then its parts, then the wait for health. Returns its record,
 * `running`, or `degraded` where it runs but did not become healthy in time. Undoes nothing when it throws.
 */
export type BringUp = (
  record: EnvironmentRecord,
  secrets: Record<string, string>,
  creation: Creation,
) => Promise<EnvironmentRecord>;

export function createBringUp(deps: BringUpDeps): BringUp {
  const { environments, events, steps, gate, health, clock, failpoint } = deps;
  return async (record, secrets, creation) => {
    const { id: env_id, name } = record;
    await environments.save(record);
    if (record.secrets.length > 0)
      await withFailpoint(failpoint, "save-secrets", () => deps.secrets.save(env_id, secrets));
    events.emit({ type: "environment.creating", env_id, data: { name, image: primaryService(record).image } });
    await steps.apply(planUp(record, NOTHING, clock.now()));
    const last = await gate(record, { cancel: creation.cancel.signal, ended: creation.ended.signal });
    if (creation.cancel.signal.aborted)
      throw new PlatformError(
        "conflict",
        `Cannot finish creating environment "${env_id}": it was destroyed meanwhile.`,
      );
    if (last !== null) await health.record(env_id, last.timestamp, last.result);
    const healthy = last?.result.ok === true;
    const finished: EnvironmentRecord = { ...record, status: healthy ? "running" : "degraded" };
    await environments.save(finished);
    events.emit({ type: healthy ? "environment.running" : "environment.degraded", env_id });
    return finished;
  };
}
