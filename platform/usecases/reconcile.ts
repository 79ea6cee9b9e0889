import type { EnvironmentRecord } from "../domain/environment-record.ts";
import { describeError } from "../domain/errors.ts";
import { LABEL_ENV, LABEL_ROLE } from "../domain/labels.ts";
import { hasVanished } from "../domain/outage-rule.ts";
import { plan, type Observed } from "../domain/plan.ts";
import { parseSubnet } from "../domain/subnets.ts";
import { describeStep, stepsOf, type Plan, type Step } from "../domain/step.ts";
import { shareLooks } from "../runtime/shared-look.ts";
import { applySteps } from "./apply-steps.ts";
import { watchHealth } from "./check-health.ts";
import type { Context } from "./context.ts";
import { takeDown } from "./destroy-environment.ts";
import { assertOwnNames } from "./find-environment.ts";
import { heldBack, networksOf } from "./hold-back.ts";
import { observeWorld, observedOf, type World } from "./observe-environment.ts";
import { isKnown, isNetworkInUse } from "./known.ts";
import { readyAhead, reviewAhead } from "./review-ahead.ts";
import { repairFrontDoor } from "./repair-front-door.ts";
import { repairStateFiles } from "./repair-state-files.ts";
import { noteTakenSubnets } from "./taken-subnets.ts";

/** What one pass did. */
export type ReconcileReport = { repaired: string[]; retired: string[]; orphans: string[]; failed: string[] };

/**
 * Brings the machine and the records into agreement, both ways: what a record wants and is missing is
 * repaired, half-made and half-destroyed environments are taken down, and what carries our label
 * without a record is removed. An environment with an operation under way is left to it. At `startup`
 * nothing is under way: every route is put again and helper containers left by a killed platform go.
 */
export async function reconcile(context: Context, { startup }: { startup: boolean }): Promise<ReconcileReport> {
  const report: ReconcileReport = { repaired: [], retired: [], orphans: [], failed: [] };
  const ready = readyAhead(context);
  const world = await repairFrontDoor(context, await observeWorld(context));
  await noteTakenSubnets(context);
  const known = new Set(context.environments.all().map((record) => record.id));
  // Each looks again once nothing else works on it; those that come to it at once, as all do at a start, look together.
  const lookAgain = shareLooks(() => observeWorld(context));
  const pass = { world, lookAgain, startup, report };
  await Promise.all(context.environments.all().map((record) => settleOne(context, record.id, pass)));
  const { repaired, failed } = await repairStateFiles(context);
  report.repaired.push(...repaired.filter((id) => !report.repaired.includes(id)));
  report.failed.push(...failed);
  const held = await heldBack(context, world);
  await removeOrphans(context, world, new Set([...known, ...held]), startup, report);
  await removeStrayFiles(context, held, report);
  await reviewAhead(context, world, ready);
  return report;
}

type Pass = { world: World; lookAgain: () => Promise<World>; startup: boolean; report: ReconcileReport };

async function settleOne(context: Context, id: string, { world, lookAgain, startup, report }: Pass): Promise<void> {
  const { environments, locks, events, logger, stopping } = context;
  const record = environments.get(id);
  if (record === null || locks.isHeld(id)) return;
  if (decide(context, record, world, startup).length === 0 && !hasVanished(record, observedOf(record, world, context)))
    return;
  try {
    await locks.run(id, async () => {
      // The world was seen before the lock was ours: look again before touching anything.
      const present = environments.get(id);
      if (present === null || stopping.aborted) return;
      await settleLocked(context, present, await lookAgain(), startup, report);
    });
  } catch (error) {
    report.failed.push(id);
    logger.error({ err: error, env_id: id }, "cannot repair environment; trying again in a minute");
    events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: describeError(error) } });
  }
}

async function settleLocked(
  context: Context,
  found: EnvironmentRecord,
  world: World,
  startup: boolean,
  report: ReconcileReport,
): Promise<void> {
  const record = await endVanishedOutage(context, found, world);
  const steps = decide(context, record, world, startup);
  if (steps.length === 0) return;
  if (record.status === "creating" || record.status === "destroying") {
    await takeDown(context, record);
    report.retired.push(record.id);
    return;
  }
  assertOwnNames(context, record);
  await applySteps(steps, context);
  watchHealth(context, record.id);
  const repairs = stepsOf(steps).filter((step) => !isRoutine(step, startup));
  if (repairs.length === 0) return;
  report.repaired.push(record.id);
  context.logger.warn({ env_id: record.id, steps: repairs.map(describeStep) }, "environment repaired");
  context.events.emit({ type: "environment.repaired", env_id: record.id, data: { steps: repairs.map(describeStep) } });
}

/** The record without an outage that is over by itself. */
async function endVanishedOutage(
  context: Context,
  record: EnvironmentRecord,
  world: World,
): Promise<EnvironmentRecord> {
  const { environments, events } = context;
  const { outage, status, id } = record;
  const isUp = status === "running" || status === "degraded";
  if (outage === null || !isUp || !hasVanished(record, observedOf(record, world, context))) return record;
  const without: EnvironmentRecord = { ...record, outage: null };
  await environments.save(without);
  events.emit({ type: "outage.ended", env_id: id, data: { mode: outage.mode, reason: "found to be over" } });
  return without;
}

function decide(context: Context, record: EnvironmentRecord, world: World, startup: boolean): Plan {
  const seen = observedOf(record, world, context);
  const observed: Observed = startup ? { ...seen, routed: false } : seen;
  return plan(record, observed, context.clock.now());
}

/** At every start shippers begin anew and routes are put again: that is no repair to report. */
function isRoutine(step: Step, startup: boolean): boolean {
  return startup && (step.kind === "start-shipper" || step.kind === "put-route");
}

async function removeOrphans(
  context: Context,
  world: World,
  known: ReadonlySet<string>,
  startup: boolean,
  report: ReconcileReport,
): Promise<void> {
  const { settings } = context;
  const isOrphan = (env: string | undefined): env is string =>
    env !== undefined && !known.has(env) && !isKnown(context, env);
  const kept = networksOf(world, known);

  for (const { name, labels } of world.engine.containers) {
    const env = labels[LABEL_ENV];
    if (startup && labels[LABEL_ROLE] === "tool")
      await removeOrphan(context, { kind: "remove-container", env: env ?? "", container: name }, report);
    else if (isOrphan(env)) await removeOrphan(context, { kind: "remove-container", env, container: name }, report);
  }
  for (const { name, labels, subnet } of world.engine.networks) {
    const env = labels[LABEL_ENV] ?? "";
    // One that was made ahead bears no environment's label, only its record knows whose it is.
    const isNobodys = env === "" ? labels[LABEL_ROLE] === "network" && !kept.has(name) : isOrphan(env);
    if (name === settings.instance || !isNobodys || isNetworkInUse(context, name)) continue;
    await removeOrphan(context, { kind: "disconnect-ingress", env, network: name }, report);
    const removed = await removeOrphan(context, { kind: "remove-network", env, network: name }, report);
    // It was kept from everybody else while it was held back.
    if (removed && context.heldNetworks.delete(name)) context.subnets.free(parseSubnet(subnet));
  }
}

async function removeStrayFiles(context: Context, held: ReadonlySet<string>, report: ReconcileReport): Promise<void> {
  const { ingress, logs, secrets, environments, logger } = context;
  try {
    const spares = context.ahead.spares.map(({ record }) => record.id);
    const known = [...environments.all().map(({ id }) => id), ...context.ongoing.admitted.keys(), ...spares, ...held];
    const strays = await ingress.removeStrays(new Set(known));
    for (const file of strays) noteOrphan(context, "conf file", file, report);
    const isStray = (id: string) => !isKnown(context, id) && !held.has(id);
    for (const id of (await logs.list()).filter(isStray)) {
      await logs.archive(id);
      noteOrphan(context, "logs", id, report);
    }
    for (const id of (await secrets.list()).filter(isStray)) {
      await secrets.remove(id);
      noteOrphan(context, "secrets", id, report);
    }
  } catch (error) {
    logger.error({ err: error }, "cannot remove stray files; trying again in a minute");
  }
}

async function removeOrphan(context: Context, step: Step, report: ReconcileReport): Promise<boolean> {
  try {
    await applySteps([[step]], context);
    if (step.kind !== "disconnect-ingress") noteOrphan(context, step.kind, describeStep(step), report);
    return true;
  } catch (error) {
    report.failed.push(describeStep(step));
    context.logger.error({ err: error, step: describeStep(step) }, "cannot remove an orphan; trying again in a minute");
    return false;
  }
}

function noteOrphan({ events, logger }: Context, kind: string, what: string, report: ReconcileReport): void {
  report.orphans.push(what);
  logger.warn({ kind, what }, "orphan removed");
  events.emit({ type: "orphan.removed", env_id: null, data: { kind, what } });
}
