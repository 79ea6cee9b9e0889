import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { planRecovery } from "../../domain/plan/plan.ts";
import type { Observed } from "../../domain/plan/observed.ts";
import type { Clock } from "../../kernel/clock.ts";
import { delay } from "../../kernel/delay.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { KeyedLock } from "../../kernel/keyed-lock.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { Probe } from "../../probes/probe.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { Workloads } from "../../workloads/workloads.ts";
import { findLiving } from "../environments/find-environment.ts";
import { persistIntent } from "../environments/persist-intent.ts";
import type { StepExecutor } from "../environments/step-executor.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { ObserveActual } from "../reconcile/actual-state.ts";

const SETTLE_MS = 5_000;
const PAUSE_MS = 100;

export type RecoveryDeps = {
  environments: EnvironmentStore;
  workloads: Pick<Workloads, "inspect">;
  observe: ObserveActual;
  steps: StepExecutor;
  probe: Pick<Probe, "check">;
  health: Pick<HealthChecks, "check" | "watch">;
  events: Pick<EventLog, "emit">;
  locks: KeyedLock;
  clock: Pick<Clock, "now">;
  logger: Pick<Logger, "warn">;
  settings: { publicAddress: { baseDomain: string } };
  stopping: AbortSignal;
};

/**
 * Undoes whatever is wrong with an environment, whether an outage or an operator broke it: paused → unpause, exited →
 * start, disconnected → reconnect, gone → recreate, stressed → stop. Nothing wrong is fine. Waits up to 5 s for the
 * first good health check, so that the answer shows `running` where it can. `protected_target` where the name of a
 * service belongs to another owner's container.
 */
export type RecoverEnvironment = (id: string) => Promise<EnvironmentRecord>;

export function createRecovery(deps: RecoveryDeps): RecoverEnvironment {
  const { environments, workloads, steps, probe, health, events, locks, clock, logger, settings, stopping } = deps;

  async function repair(record: EnvironmentRecord): Promise<void> {
    const [actual] = await Promise.all([
      deps.observe(),
      ...record.services.map(({ name }) => workloads.inspect({ env: record.id, service: name })),
    ]);
    const observed = actual.observedOf(record);
    assertNodesAnswer(record, observed);
    const plan = planRecovery(record, observed, clock.now());
    const recovered: EnvironmentRecord = { ...record, outage: null };
    // Saved first, so that the reconciler finishes a recovery that a kill cuts off. It sees no stress, which would then
    // outlive its outage: that outage stays on record until it is stopped, and a second recovery does no harm.
    const isHidden = record.outage?.mode === "stress";
    const isSaved = !isHidden && (await persistIntent({ environments, logger }, recovered, "recovering"));
    try {
      await steps.apply(plan, observed);
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

  return async (id) => {
    findLiving(environments, id);
    await locks.run(id, () => repair(findLiving(environments, id)));
    await settle(id);
    return findLiving(environments, id);
  };
}

/** Nothing can be undone on a node that is silent: the outage stays on record until the node answers. */
function assertNodesAnswer({ id, services }: EnvironmentRecord, observed: Observed): void {
  const silent = services.find(({ name }) => observed.services[name]?.state === "unknown");
  if (silent === undefined) return;
  throw new PlatformError(
    "engine_unavailable",
    `Cannot recover service "${silent.name}" of "${id}": its node does not answer. Try again once it does.`,
  );
}
