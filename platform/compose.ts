import type { DockerWorkloads } from "./workloads/docker/docker-workloads.ts";
import type { Clock } from "./kernel/clock.ts";
import type { Failpoint } from "./kernel/failpoint.ts";
import type { IdleQueue } from "./kernel/idle-queue.ts";
import { createKeyedLock } from "./kernel/keyed-lock.ts";
import type { Logger } from "./kernel/logger.ts";
import { createTaskTracker } from "./kernel/task-tracker.ts";
import type { Firewall } from "./host/firewall-heartbeat-file.ts";
import type { Probe } from "./probes/probe.ts";
import type { Router } from "./routing/router.ts";
import type { AuditLog } from "./store/journal/audit-log.ts";
import type { EnvironmentStore } from "./store/state/environment-store.ts";
import type { EventLog } from "./store/journal/event-log.ts";
import type { LogStore } from "./store/logs/log-store.ts";
import type { SecretStore } from "./store/secrets/secret-store.ts";
import type { TokenStore } from "./store/tokens/token-store.ts";
import { createHalt } from "./usecases/chaos/halt.ts";
import { createInjection } from "./usecases/chaos/injection.ts";
import { createOutageExpiry } from "./usecases/chaos/outage-expiry.ts";
import { createRecovery } from "./usecases/chaos/recovery.ts";
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
import type { Settings } from "./usecases/settings.ts";

/** Everything that has effects outside of the process, and what is made of it before the use-cases. */
export type Adapters = {
  workloads: DockerWorkloads;
  router: Router;
  probe: Probe;
  environments: EnvironmentStore;
  logs: LogStore;
  events: EventLog;
  secrets: SecretStore;
  audit: AuditLog;
  /** Null: there are no tokens, and every caller is the machine's own user. */
  tokens: TokenStore | null;
  firewall: Firewall;
  disk: DiskPressure;
  clock: Clock;
  logger: Logger;
  idle: IdleQueue;
  makeId: (name: string, now: number) => string;
  failpoint: Failpoint;
  /** Aborts when the platform shuts down: waits end, operations in progress are finished. */
  stopping: AbortSignal;
  /** Aborts some seconds later: no further step begins. */
  shutdownDeadline: AbortSignal;
};

/** The use-cases of one platform, and the adapters they work on. */
export type Platform = ReturnType<typeof composePlatform>;

/** Makes every use-case with what it needs. State that lives in memory stays inside of them. */
export function composePlatform(adapters: Adapters, instance: string, settings: Settings) {
  const { workloads, environments, logs, secrets, clock, logger } = adapters;
  const { networkPool } = workloads;
  const locks = createKeyedLock();
  const tasks = createTaskTracker();
  const operations = createOperations();
  const shippers = createLogShippers({
    workloads,
    logs,
    logger,
    now: clock.now,
    lineMaskerOf: (id) => lineMaskerOf({ environments, secrets }, id),
  });
  const shared = { ...adapters, settings, locks, tasks, operations, shippers };
  const observe = createObserveActual(shared);
  const steps = createStepExecutor(shared);
  const gate = createHealthGate(shared);
  const health = createHealthChecks(shared);
  const protectedEnvironments = createProtectedEnvironments(shared);
  const admission = createAdmission({ environments, settings, protectedIds: () => protectedEnvironments.counted() });
  const draft = createDraft(shared);
  const rollBack = createRollBack({ environments, steps, logger });
  const pool = createWarmPool({ ...shared, networkPool, admission, draft, steps, gate, health, rollBack });

  const bringUp = createBringUp({ ...shared, steps, gate, health });
  const idempotency = createIdempotency(shared);
  const lastLogLines = createLastLogLines(shared);
  const create = createCreation({ ...shared, pool, idempotency, admission, draft, bringUp, rollBack, lastLogLines });
  const destruction = createDestruction({ ...shared, steps, health, pool });
  const recover = createRecovery({ ...shared, observe, steps, health });

  const coming = {
    has: (id: string) => admission.has(id) || pool.has(id),
    ids: () => [...admission.ids(), ...pool.ids()],
  };
  const reconcile = createReconciler({
    ...shared,
    observe,
    steps,
    health,
    pool,
    destruction,
    protectedEnvironments,
    repairRouting: createRepairRouting({ ...shared, edge: workloads.edge }),
    repairStateFiles: createRepairStateFiles(shared),
    orphans: createOrphans({ ...shared, coming }),
  });

  return {
    ...shared,
    pool,
    networkPool,
    health,
    create,
    destroy: destruction.destroy,
    extend: createExtension(shared),
    cleanupExpired: createExpiry({ ...shared, destruction }),
    injectOutage: createInjection({ ...shared, health }),
    recover,
    halt: createHalt({ environments, recover, logger }),
    endOutages: createOutageExpiry({ ...shared, recover }),
    reconcile,
    handleEngineEvents: createEngineEvents({ ...shared, health, pool, reconcile }),
    readPlatformHealth: createPlatformHealth({ ...shared, pool, networkPool, instance }),
  };
}
