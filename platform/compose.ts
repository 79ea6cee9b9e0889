import type { Firewall } from "./host/firewall-heartbeat-file.ts";
import { createKeyedLock } from "./kernel/keyed-lock.ts";
import { createTaskTracker } from "./kernel/task-tracker.ts";
import type { AuditLog } from "./store/journal/audit-log.ts";
import type { EventLog } from "./store/journal/event-log.ts";
import type { TokenStore } from "./store/tokens/token-store.ts";
import { createHalt } from "./usecases/chaos/halt.ts";
import { createInjection } from "./usecases/chaos/injection.ts";
import { createOutageExpiry } from "./usecases/chaos/outage-expiry.ts";
import { createRecovery } from "./usecases/chaos/recovery.ts";
import type { CommonDeps } from "./usecases/deps.ts";
import { createAdmission } from "./usecases/environments/admission.ts";
import { createBringUp } from "./usecases/environments/bring-up.ts";
import { createCreation } from "./usecases/environments/creation.ts";
import { createDestruction } from "./usecases/environments/destruction.ts";
import type { DiskPressure } from "./usecases/environments/disk-pressure.ts";
import { createDraft } from "./usecases/environments/draft.ts";
import { createExpiry } from "./usecases/environments/expiry.ts";
import { createExtension } from "./usecases/environments/extension.ts";
import { createIdempotency } from "./usecases/environments/idempotency.ts";
import { createOperations } from "./usecases/environments/operations.ts";
import { createRollBack } from "./usecases/environments/roll-back.ts";
import { lineMaskerOf } from "./usecases/environments/secrets-of.ts";
import { createStepExecutor } from "./usecases/environments/step-executor.ts";
import { createHealthChecks } from "./usecases/health/health-checks.ts";
import { createHealthGate } from "./usecases/health/health-gate.ts";
import { createPlatformHealth } from "./usecases/health/platform-health.ts";
import { createLastLogLines } from "./usecases/logs/last-log-lines.ts";
import { createLogShippers } from "./usecases/logs/log-shippers.ts";
import { createWarmPool } from "./usecases/pool/warm-pool.ts";
import { createObserveActual } from "./usecases/reconcile/actual-state.ts";
import { createEngineEvents } from "./usecases/reconcile/engine-events.ts";
import { createOrphans } from "./usecases/reconcile/orphans.ts";
import { createProtectedEnvironments } from "./usecases/reconcile/protected-environments.ts";
import { createReconciler } from "./usecases/reconcile/reconciler.ts";
import { createRepairRouting } from "./usecases/reconcile/repair-routing.ts";
import { createRepairStateFiles } from "./usecases/reconcile/repair-state-files.ts";
import type { DockerWorkloads } from "./workloads/docker/docker-workloads.ts";

/** Everything that has effects outside of the process, the settings, and what is made of them before the use-cases. */
export type Adapters = Omit<CommonDeps, "locks" | "tasks"> & {
  instance: string;
  workloads: DockerWorkloads;
  events: EventLog;
  audit: AuditLog;
  /** Null: there are no tokens, and every caller is the machine's own user. */
  tokens: TokenStore | null;
  firewall: Firewall;
  disk: DiskPressure;
  makeId: (name: string, now: number) => string;
};

/** The use-cases of one platform, and the adapters they work on. */
export type Platform = ReturnType<typeof composePlatform>;

/** Makes every use-case with what it needs. State that lives in memory stays inside of them. */
export function composePlatform(adapters: Adapters) {
  const { workloads, environments, logs, secrets, clock, logger, settings } = adapters;
  const { networkPool, edge } = workloads;
  const shippers = createLogShippers({
    workloads,
    logs,
    logger,
    now: clock.now,
    lineMaskerOf: (id) => lineMaskerOf({ environments, secrets }, id),
  });
  const operations = createOperations();
  const shared = {
    ...adapters,
    networkPool,
    shippers,
    operations,
    locks: createKeyedLock(),
    tasks: createTaskTracker(),
  };

  const steps = createStepExecutor(shared);
  const gate = createHealthGate(shared);
  const health = createHealthChecks(shared);
  const rollBack = createRollBack({ environments, logger, steps });
  const draft = createDraft(shared);
  const protectedEnvironments = createProtectedEnvironments(shared);
  const admission = createAdmission({ environments, settings, protectedIds: protectedEnvironments.counted });
  const pool = createWarmPool({ ...shared, admission, draft, steps, gate, health, rollBack });

  const bringUp = createBringUp({ ...shared, steps, gate, health });
  const idempotency = createIdempotency(shared);
  const lastLogLines = createLastLogLines(shared);
  const destruction = createDestruction({ ...shared, steps, health, pool });

  const observe = createObserveActual(shared);
  const recover = createRecovery({ ...shared, observe, steps, health });
  const reconcile = createReconciler({
    ...shared,
    observe,
    steps,
    health,
    pool,
    destruction,
    protectedEnvironments,
    repairRouting: createRepairRouting({ ...shared, edge }),
    repairStateFiles: createRepairStateFiles(shared),
    orphans: createOrphans({ ...shared, coming: () => [...admission.ids(), ...pool.ids()] }),
  });

  return {
    ...shared,
    pool,
    health,
    create: createCreation({ ...shared, pool, idempotency, admission, draft, bringUp, rollBack, lastLogLines }),
    destroy: destruction.destroy,
    extend: createExtension(shared),
    cleanupExpired: createExpiry({ ...shared, destruction }),
    injectOutage: createInjection({ ...shared, health }),
    recover,
    halt: createHalt({ environments, logger, recover }),
    endOutages: createOutageExpiry({ ...shared, recover }),
    reconcile,
    handleEngineEvents: createEngineEvents({ ...shared, health, pool, reconcile }),
    readPlatformHealth: createPlatformHealth({ ...shared, pool }),
  };
}
