import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError, isPlatformError } from "../../kernel/errors.ts";
import { isExpired } from "../../domain/environment/lifetime.ts";
import { isOutageGone } from "../../domain/outage-rule.ts";
import { plan, type Observed } from "../../domain/plan/plan.ts";
import { describeStep, stepsOf, type Plan, type Step } from "../../domain/plan/step.ts";
import { shareNextRun } from "../../kernel/single-flight.ts";
import { applySteps } from "../environments/apply-steps.ts";
import { watchHealth } from "../health/check-health.ts";
import type { Context } from "../context.ts";
import { takeDown } from "../environments/destroy-environment.ts";
import { assertOwnNames } from "../environments/find-environment.ts";
import { protectEnvironments } from "./protected-environments.ts";
import { observeActual, observedOf, unexpectedContainers, type ActualState } from "./observe-environment.ts";
import { removeOrphan, removeOrphans, removeStrayFiles } from "./remove-orphans.ts";
import { readyAhead, reviewAhead } from "../pool/reconcile-pools.ts";
import { repairRouting } from "./repair-routing.ts";
import { repairStateFiles } from "./repair-state-files.ts";
import { noteTakenSubnets } from "../pool/taken-subnets.ts";

/** What one pass did. */
export type ReconcileReport = { repaired: string[]; retired: string[]; orphans: string[]; failed: string[] };

/**
 * Brings the machine and the records into agreement, both ways: what a record wants and is missing is
 * repaired, half-made and half-destroyed environments are taken down, and what carries our label
 * without a record is removed. An environment with an operation under way is left to it. After a
 * `startup` everything that was found is begun anew, its route put again, by the first pass that succeeds in it.
 * No part of a pass keeps another from being done: what cannot be done is reported, and tried again by the next one.
 */
export async function reconcile(context: Context, { startup }: { startup: boolean }): Promise<ReconcileReport> {
  const report: ReconcileReport = { repaired: [], retired: [], orphans: [], failed: [] };
  if (startup) for (const { id } of context.environments.all()) context.unsettled.add(id);
  const ready = readyAhead(context);
  const world = await repairRouting(context, await observeActual(context));
  const part = (what: string, run: () => Promise<void>) => inPart(context, report, what, run);
  await part("look for subnets that are taken", () => noteTakenSubnets(context));
  const known = new Set(context.environments.all().map((record) => record.id));
  // Each looks again once nothing else works on it; those that come to it at once, as all do at a start, look together.
  const lookAgain = shareNextRun(() => observeActual(context));
  const pass = { world, lookAgain, report };
  await Promise.all(context.environments.all().map((record) => settleOne(context, record.id, pass)));
  await part("look at the state files", async () => {
    const { repaired, failed } = await repairStateFiles(context);
    report.repaired.push(...repaired.filter((id) => !report.repaired.includes(id)));
    report.failed.push(...failed);
  });
  // Where it is not known what is held back, nothing is an orphan.
  await part("remove orphans", async () => {
    const held = await protectEnvironments(context, world);
    await removeOrphans(context, world, new Set([...known, ...held]), report);
    await removeStrayFiles(context, held, report);
  });
  await part("review what was made ahead", () => reviewAhead(context, world, ready));
  return report;
}

async function inPart(
  { events, logger, stopping }: Context,
  report: ReconcileReport,
  what: string,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (stopping.aborted && (error === stopping.reason || isPlatformError(error, "shutting_down"))) return; // the next start's
    report.failed.push(what);
    logger.error({ err: error, what }, "cannot do a part of a reconcile; trying again in a minute");
    events.emit({
      type: "drift.unrepaired",
      env_id: null,
      data: { reason: `Cannot ${what}: ${describeError(error)}` },
    });
  }
}

type Pass = { world: ActualState; lookAgain: () => Promise<ActualState>; report: ReconcileReport };

async function settleOne(context: Context, id: string, { world, lookAgain, report }: Pass): Promise<void> {
  const { environments, locks, events, logger, stopping, unsettled } = context;
  const record = environments.get(id);
  if (record === null || locks.isHeld(id) || isInOrder(context, record, world)) return;
  try {
    await locks.run(id, async () => {
      // The world was seen before the lock was ours: look again before touching anything.
      const present = environments.get(id);
      if (present !== null && stopping.aborted) return;
      if (present !== null) await settleLocked(context, present, await lookAgain(), report);
      unsettled.delete(id);
    });
  } catch (error) {
    if (isPlatformError(error, "shutting_down")) return; // the next start's
    report.failed.push(id);
    logger.error({ err: error, env_id: id }, "cannot repair environment; trying again in a minute");
    events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: describeError(error) } });
  }
}

function isInOrder(context: Context, record: EnvironmentRecord, world: ActualState): boolean {
  // The cleanup is about to destroy it: nobody starts it once more, as after a reboot.
  if (isUp(record) && isExpired(record, context.clock.now())) return true;
  const observed = observedOf(record, world, context);
  if (isOutageGone(record, observed) || unexpectedContainers(record, world, context).length > 0) return false;
  return decide(context, record, observed).length === 0;
}

async function settleLocked(
  context: Context,
  found: EnvironmentRecord,
  world: ActualState,
  report: ReconcileReport,
): Promise<void> {
  const isFirst = context.unsettled.has(found.id);
  const observed = observedOf(found, world, context);
  const record = await endVanishedOutage(context, found, observed);
  await removeStrangers(context, record, world, report);
  const steps = decide(context, record, observed);
  if (steps.length === 0) return;
  if (!isUp(record)) {
    await takeDown(context, record);
    report.retired.push(record.id);
    return;
  }
  assertOwnNames(context, record);
  await applySteps(steps, context);
  watchHealth(context, record.id);
  const repairs = stepsOf(steps).filter((step) => !isRoutine(step, isFirst));
  if (repairs.length === 0) return;
  report.repaired.push(record.id);
  context.logger.warn({ env_id: record.id, steps: repairs.map(describeStep) }, "environment repaired");
  context.events.emit({ type: "environment.repaired", env_id: record.id, data: { steps: repairs.map(describeStep) } });
}

/** A renamed container keeps the address of the one that is to take its place, which could never start. */
async function removeStrangers(
  context: Context,
  record: EnvironmentRecord,
  world: ActualState,
  report: ReconcileReport,
): Promise<void> {
  const strangers = unexpectedContainers(record, world, context);
  if (strangers.length === 0) return;
  // By a state file that was edited its own container is none of its services'.
  assertOwnNames(context, record);
  for (const container of strangers)
    await removeOrphan(context, { kind: "remove-container", env: record.id, container }, report);
}

/** The record without an outage that is over by itself. */
async function endVanishedOutage(
  context: Context,
  record: EnvironmentRecord,
  observed: Observed,
): Promise<EnvironmentRecord> {
  const { environments, events } = context;
  const { outage, id } = record;
  if (outage === null || !isUp(record) || !isOutageGone(record, observed)) return record;
  const without: EnvironmentRecord = { ...record, outage: null };
  await environments.save(without);
  events.emit({ type: "outage.ended", env_id: id, data: { mode: outage.mode, reason: "found to be over" } });
  return without;
}

function decide({ clock, unsettled }: Context, record: EnvironmentRecord, observed: Observed): Plan {
  const isFirst = unsettled.has(record.id);
  return plan(record, isFirst ? { ...observed, routed: false } : observed, clock.now());
}

/** After a start shippers begin anew and routes are put again: that is no repair to report. */
function isRoutine(step: Step, isFirst: boolean): boolean {
  return isFirst && (step.kind === "start-shipper" || step.kind === "upsert-route");
}
