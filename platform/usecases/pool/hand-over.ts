import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import type { Observed } from "../../domain/plan/observed.ts";
import { planUp } from "../../domain/plan/plan.ts";
import { describeError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import type { RollBack } from "../environments/roll-back.ts";
import type { StepExecutor } from "../environments/step-executor.ts";
import type { HealthChecks } from "../health/health-checks.ts";

/** How long a warm environment may take to answer that it still runs. */
const PROBE_LIMIT_MS = 1_000;

export type HandOverDeps = Needs<"environments" | "probe" | "events" | "clock" | "logger" | "settings"> & {
  steps: StepExecutor;
  rollBack: RollBack;
  health: Pick<HealthChecks, "record">;
};

/**
 * Turns a warm environment into its new owner's: its state file is written, its route enabled, its logs shipped. Does
 * nothing where the environment or the edge proxy does not answer. Rolls it back and throws when a step fails.
 */
export function createHandOver(deps: HandOverDeps) {
  const { environments, probe, events, clock, logger, settings, steps, rollBack, health } = deps;
  return async (record: EnvironmentRecord): Promise<"done" | "environment is silent" | "edge is silent"> => {
    const { id: env_id, name: displayName, owner } = record;
    const { name, image, port, health_path: path } = primaryService(record);
    const timestamp = clock.timestamp();
    const host = environmentHost(env_id, settings.publicAddress.baseDomain);
    const result = await probe.check({ host, path, timeoutMs: PROBE_LIMIT_MS });
    if (result.fault === "ingress") return "edge is silent";
    if (!result.ok) {
      logger.warn({ env_id, reason: result.error }, "a warm environment does not answer; making another");
      return "environment is silent";
    }
    const observed: Observed = {
      prepared: true,
      services: { [name]: { state: "running", connected: true, placement: null } },
      route: { address: "", port, enabled: false },
      shipping: [],
    };
    try {
      await environments.save(record);
      events.emit({ type: "environment.creating", env_id, data: { name: displayName, image } });
      await steps.apply(planUp(record, observed, clock.now()));
    } catch (error) {
      events.emit({ type: "environment.failed", env_id, owner, data: { reason: describeError(error) } });
      await rollBack(record, "a failed environment");
      throw error;
    }
    await health.record(env_id, timestamp, result);
    events.emit({ type: "environment.running", env_id });
    return "done";
  };
}
