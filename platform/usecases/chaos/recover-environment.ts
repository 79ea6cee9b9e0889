import { primaryService, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { environmentHost } from "../../domain/environment/view.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { isAppOf } from "../../domain/environment/labels.ts";
import { planRecovery } from "../../domain/plan/plan.ts";
import { delay } from "../../kernel/delay.ts";
import { applySteps } from "../environments/apply-steps.ts";
import { checkHealth, watchHealth } from "../health/check-health.ts";
import type { Context } from "../context.ts";
import { assertOwnNames, findLiving } from "../environments/find-environment.ts";
import { persistIntent } from "../environments/persist-intent.ts";
import { observeActual, observedOf, type ActualState } from "../reconcile/observe-environment.ts";

const SETTLE_MS = 5_000;
const PAUSE_MS = 100;

/**
 * Undoes whatever is wrong with an environment, whoever broke it: paused → unpause, exited → start,
 * disconnected → reconnect, gone → recreate, stressed → stop. Nothing wrong is fine. Waits up to
 * 5 s for the first good health check, so that the answer shows `running` where it can.
 */
export async function recoverEnvironment(context: Context, id: string): Promise<EnvironmentRecord> {
  findLiving(context, id);
  await context.locks.run(id, () => repair(context, findLiving(context, id)));
  await settle(context, id);
  return findLiving(context, id);
}

async function repair(context: Context, record: EnvironmentRecord): Promise<void> {
  const { environments, events, clock } = context;
  const world = await observeActual(context);
  assertOwnNames(context, record);
  assertTargets(context, record, world);
  const steps = planRecovery(record, observedOf(record, world, context), clock.now());
  const recovered: EnvironmentRecord = { ...record, outage: null };
  // Noted first, so that the reconciler finishes what a kill cuts off; but it sees no stress, which would then outlive
  // its outage. That one stays on record until it is stopped: recovering once more does no harm.
  const isHidden = record.outage?.mode === "stress";
  const isNoted = !isHidden && (await persistIntent(context, recovered, "recovering"));
  try {
    await applySteps(steps, context);
  } catch (error) {
    // The outage is still in force: whoever asked may ask again, and one with an end ends at the next tick.
    if (isNoted) await persistIntent(context, record, "failing to recover").catch(() => {}); // the first failure is the one to tell
    throw error;
  }
  // A disk that refused the note may have room by now; one that has not says so, the environment repaired.
  if (!isNoted) await environments.save(recovered);
  if (record.outage !== null)
    events.emit({ type: "outage.ended", env_id: record.id, data: { mode: record.outage.mode } });
}

/** The same guard as for breaking: a state file that names somebody else's container repairs nothing there. */
function assertTargets({ settings }: Context, record: EnvironmentRecord, world: ActualState): void {
  for (const service of record.services) {
    const facts = world.containers.get(service.container);
    if (facts === undefined || isAppOf(facts.labels, settings.instance, record.id)) continue;
    throw new PlatformError(
      "protected_target",
      `Cannot recover container "${service.container}": it is not part of environment "${record.id}".`,
    );
  }
}

async function settle(context: Context, id: string): Promise<void> {
  const { environments, probe, settings, stopping } = context;
  const record = environments.get(id);
  if (record === null) return;
  const deadline = performance.now() + SETTLE_MS;
  const target = {
    host: environmentHost(id, settings.publicAddress.baseDomain),
    path: primaryService(record).health_path,
  };
  while (performance.now() < deadline && !stopping.aborted) {
    const { ok } = await probe.check({ ...target, timeoutMs: deadline - performance.now(), signal: stopping });
    if (ok) return checkHealth(context, id);
    await delay(PAUSE_MS, stopping);
  }
  watchHealth(context, id);
}
