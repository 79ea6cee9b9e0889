import { isExpired } from "../../domain/environment/lifetime.ts";
import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { isOutageGone } from "../../domain/outage-rule.ts";
import type { Observed } from "../../domain/plan/observed.ts";
import { plan } from "../../domain/plan/plan.ts";
import { describeStep, stepsOf, type Plan, type Step } from "../../domain/plan/step.ts";
import { describeError, isPlatformError } from "../../kernel/errors.ts";
import { shareNextRun } from "../../kernel/single-flight.ts";
import type { Needs } from "../deps.ts";
import type { Destruction } from "../environments/destruction.ts";
import type { StepExecutor } from "../environments/step-executor.ts";
import type { HealthChecks } from "../health/health-checks.ts";
import type { WarmPool } from "../pool/warm-pool.ts";
import type { ActualState, ObserveActual } from "./actual-state.ts";
import type { Orphans, ReconcileReport } from "./orphans.ts";
import type { ProtectedEnvironments } from "./protected-environments.ts";
import type { RepairRouting } from "./repair-routing.ts";
import type { RepairStateFiles } from "./repair-state-files.ts";

type ReconcilerDeps = Needs<"environments" | "events" | "locks" | "clock" | "logger" | "stopping"> & {
  observe: ObserveActual;
  repairRouting: RepairRouting;
  repairStateFiles: RepairStateFiles;
  protectedEnvironments: Pick<ProtectedEnvironments, "refresh">;
  orphans: Orphans;
  pool: Pick<WarmPool, "ready" | "reconcile">;
  steps: StepExecutor;
  destruction: Pick<Destruction, "takeDown">;
  health: Pick<HealthChecks, "watch">;
};

/** The state at the beginning of a pass, a look at the present state, and the report of the pass. */
type Pass = { actual: ActualState; lookAgain: ObserveActual; report: ReconcileReport };

export type Reconcile = ReturnType<typeof createReconciler>;

/**
 * Brings the machine and the records into agreement, both ways: what a record wants and is missing is repaired,
 * half-made and half-destroyed environments are taken down, and objects with our label but no record are removed. An
 * environment with an operation in progress is left to it. After a `startup` every environment's route and shipper are
 * begun anew, by the first pass that succeeds in it. A part of a pass that fails is reported, keeps no other part from
 * being done, and is tried again by the next pass.
 */
export function createReconciler(deps: ReconcilerDeps) {
  const { environments, observe, orphans, pool, steps, events, locks, clock, logger, stopping } = deps;
  /** Environments that were found at the start and have not been reconciled since. */
  const pending = new Set<string>();

  function decide(record: EnvironmentRecord, observed: Observed): Plan {
    // The route of a former platform is put again; until then only its enabled flag counts.
    const route = observed.route === null ? null : { ...observed.route, address: "" };
    return plan(record, pending.has(record.id) ? { ...observed, route } : observed, clock.now());
  }

  function isInOrder(record: EnvironmentRecord, actual: ActualState): boolean {
    // The cleanup is about to destroy it: it is not started once more, as after a reboot.
    if (isUp(record) && isExpired(record, clock.now())) return true;
    const observed = actual.observedOf(record);
    return !isOutageGone(record, observed) && decide(record, observed).length === 0;
  }

  async function reconcileOne(id: string, { actual, lookAgain, report }: Pass): Promise<void> {
    const record = environments.get(id);
    if (record === null || locks.isHeld(id) || isInOrder(record, actual)) return;
    try {
      await locks.run(id, async () => {
        // The state was observed before the lock was held: look again before touching anything.
        const present = environments.get(id);
        if (present !== null && stopping.aborted) return;
        if (present !== null) await reconcileLocked(present, await lookAgain(), report);
        pending.delete(id);
      });
    } catch (error) {
      if (isPlatformError(error, "shutting_down")) return; // the next start repairs it
      report.failed.push(id);
      logger.error({ err: error, env_id: id }, "cannot repair environment; trying again in a minute");
      events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: describeError(error) } });
    }
  }

  async function reconcileLocked(found: EnvironmentRecord, actual: ActualState, report: ReconcileReport) {
    const { id } = found;
    const isFirst = pending.has(id);
    const observed = actual.observedOf(found);
    const record = await endGoneOutage(found, observed);
    const wanted = decide(record, observed);
    if (wanted.length === 0) return;
    if (!isUp(record)) {
      await deps.destruction.takeDown(record);
      report.retired.push(id);
      return;
    }
    await steps.apply(wanted, observed);
    deps.health.watch(id);
    const repairs = stepsOf(wanted).filter((step) => !isRoutine(step, isFirst));
    if (repairs.length === 0) return;
    report.repaired.push(id);
    const described = repairs.map(describeStep);
    logger.warn({ env_id: id, steps: described }, "environment repaired");
    events.emit({ type: "environment.repaired", env_id: id, data: { steps: described } });
  }

  /** The record without an outage that is over by itself. */
  async function endGoneOutage(record: EnvironmentRecord, observed: Observed): Promise<EnvironmentRecord> {
    const { outage, id } = record;
    if (outage === null || !isUp(record) || !isOutageGone(record, observed)) return record;
    const without: EnvironmentRecord = { ...record, outage: null };
    await environments.save(without);
    events.emit({ type: "outage.ended", env_id: id, data: { mode: outage.mode, reason: "found to be over" } });
    return without;
  }

  async function inPart(report: ReconcileReport, what: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (stopping.aborted && (error === stopping.reason || isPlatformError(error, "shutting_down"))) return;
      report.failed.push(what);
      logger.error({ err: error, what }, "cannot do a part of a reconcile; trying again in a minute");
      const reason = `Cannot ${what}: ${describeError(error)}`;
      events.emit({ type: "drift.unrepaired", env_id: null, data: { reason } });
    }
  }

  return async ({ startup }: { startup: boolean }): Promise<ReconcileReport> => {
    const report: ReconcileReport = { repaired: [], retired: [], orphans: [], failed: [] };
    if (startup) for (const { id } of environments.all()) pending.add(id);
    // Read before the state is observed: what becomes ready later may not be in it.
    const ready = pool.ready();
    const before = await observe();
    const actual = (await deps.repairRouting()) ? await observe() : before;
    const known = new Set(environments.all().map(({ id }) => id));
    // Environments that come to it at once, as all do at a start, share one look.
    const pass = { actual, lookAgain: shareNextRun(observe), report };
    await Promise.all(environments.all().map(({ id }) => reconcileOne(id, pass)));
    await inPart(report, "look at the state files", () => deps.repairStateFiles(report));
    // Where the protected environments are not known, nothing counts as an orphan.
    await inPart(report, "remove orphans", async () => {
      const protectedIds = await deps.protectedEnvironments.refresh(actual);
      await orphans.removeObjects(actual, new Set([...known, ...protectedIds]), report);
      await orphans.removeFiles(protectedIds, report);
    });
    await inPart(report, "tidy up", () => orphans.tidy(report));
    await inPart(report, "review the warm pool", () => pool.reconcile(ready, actual));
    return report;
  };
}

/** After a start shippers begin anew and routes are put again: that is no repair to report. */
function isRoutine(step: Step, isFirst: boolean): boolean {
  return isFirst && (step.kind === "start-shipper" || step.kind === "upsert-route");
}
