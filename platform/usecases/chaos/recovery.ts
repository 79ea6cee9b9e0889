import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import type { Observed } from "../../domain/plan/observed.ts";
import { planRecovery } from "../../domain/plan/plan.ts";
import { delay } from "../../kernel/delay.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import { findLiving } from "../environments/find-environment.ts";
import { persistIntent } from "../environments/persist-intent.ts";
import type { StepExecutor } from "../environments/step-executor.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { ObserveActual } from "../reconcile/actual-state.ts";

const SETTLE_MS = 5_000;
const PAUSE_MS = 100;

type RecoveryDeps = Needs<
  "environments" | "workloads" | "probe" | "events" | "locks" | "clock" | "logger" | "settings" | "stopping"
> & {
  observe: ObserveActual;
  steps: StepExecutor;
  health: Pick<HealthChecks, "check" | "watch">;
};

export type RecoverEnvironment = ReturnType<typeof createRecovery>;

/**
 * Undoes whatever is wrong with an environment, whether an outage or an operator broke it: paused → unpause, exited →
 * start, disconnected → reconnect, gone → recreate, stressed → stop. Nothing wrong is fine. Waits up to 5 s for the
 * first good health check, so that the answer shows `running` where it can. `protected_target` where the name of a
 * service belongs to another owner's container.
 */
export function createRecovery(deps: RecoveryDeps) {
  const { environments, workloads, steps, probe, health, events, locks, clock, logger, settings, stopping } = deps;

  async function repair(record: EnvironmentRecord): Promise<void> {
    // In this order: Docker's list shows a container that was killed as running until its end is dealt with, and an
    // inspection waits for that. Else a recovery right after a crash would start nothing.
    await Promise.all(record.services.map(({ name }) => workloads.inspect({ env: record.id, service: name })));
    const observed = (await deps.observe()).observedOf(record);
    assertNodesAnswer(record, observed);
    const recovered: EnvironmentRecord = { ...record, outage: null };
    // Saved first, so that the reconciler finishes a recovery that a kill cuts off. It sees no stress, which would then
    // outlive its outage: that outage stays on record until it is stopped, and a second recovery does no harm.
    const isHidden = record.outage?.mode === "stress";
    const isSaved = !isHidden && (await persistIntent({ environments, logger }, recovered, "recovering"));
    try {
      await steps.apply(planRecovery(record, observed, clock.now()), observed);
    } catch (error) {
      // The outage is still in force: the caller may try again, and an outage with an end ends at the next tick.
      if (isSaved) await persistIntent({ environments, logger }, record, "failing to recover").catch(() => {});
      throw error;
    }
    // A disk that refused the intent may have room by now. If not, the failure is told, and the environment is repaired.
    if (!isSaved) await environments.save(recovered);
    if (record.outage !== null)
      events.emit({ type: "outage.ended", env_id: record.id, data: { mode: record.outage.mode } });
  }

  async function settle(id: string): Promise<void> {
    const record = environments.get(id);
    if (record === null) return;
    const deadline = performance.now() + SETTLE_MS;
    const host = environmentHost(id, settings.publicAddress.baseDomain);
    const target = { host, path: primaryService(record).health_path };
    while (performance.now() < deadline && !stopping.aborted) {
      const { ok } = await probe.check({ ...target, timeoutMs: deadline - performance.now(), signal: stopping });
      if (ok) return health.check(id);
      await delay(PAUSE_MS, stopping);
    }
    health.watch(id);
  }

  return async (id: string): Promise<EnvironmentRecord> => {
    findLiving(environments, id);
    await locks.run(id, () => repair(findLiving(environments, id)));
    await settle(id);
    return findLiving(environments, id);
  };
}

/** On a silent node nothing can be undone, so the outage stays on record until the node answers. */
function assertNodesAnswer({ id, services }: EnvironmentRecord, observed: Observed): void {
  const silent = services.find(({ name }) => observed.services[name]?.state === "unknown");
  if (silent === undefined) return;
  const detail = `Cannot recover service "${silent.name}" of "${id}": its node does not answer. Try again once it does.`;
  throw new PlatformError("engine_unavailable", detail);
}
