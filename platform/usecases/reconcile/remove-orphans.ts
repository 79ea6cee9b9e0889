import { LABEL_ENV, LABEL_ROLE } from "../../domain/environment/labels.ts";
import { describeStep, type Step } from "../../domain/plan/step.ts";
import { readRange } from "../../domain/network/subnets.ts";
import { applySteps } from "../environments/apply-steps.ts";
import type { Context } from "../context.ts";
import { networksOf } from "./protected-environments.ts";
import { isKnown, isNetworkInUse } from "../environments/ownership.ts";
import type { ActualState } from "./observe-environment.ts";
import type { ReconcileReport } from "./reconcile.ts";
import { noteTakenSubnets } from "../pool/taken-subnets.ts";

/** Removes what carries our label without a record; `known` are the environments that have one, or are held back. */
export async function removeOrphans(
  context: Context,
  world: ActualState,
  known: ReadonlySet<string>,
  report: ReconcileReport,
): Promise<void> {
  const { settings } = context;
  const isOrphan = (env: string | undefined): env is string =>
    env !== undefined && !known.has(env) && !isKnown(context, env);
  const kept = networksOf(world, known);

  for (const { name, labels } of world.engine.containers) {
    const env = labels[LABEL_ENV];
    if (context.stopping.aborted) return;
    // The engine does not show those that are at work: a killed platform left this one.
    if (labels[LABEL_ROLE] === "helper")
      await removeOrphan(context, { kind: "remove-container", env: env ?? "", container: name }, report);
    else if (isOrphan(env)) await removeOrphan(context, { kind: "remove-container", env, container: name }, report);
  }
  let anyRemoved = false;
  for (const { name, labels, subnet } of world.engine.networks) {
    if (context.stopping.aborted) return;
    const env = labels[LABEL_ENV] ?? "";
    // One that was made ahead bears no environment's label, only its record knows whose it is.
    const isNobodys = env === "" ? labels[LABEL_ROLE] === "network" && !kept.has(name) : isOrphan(env);
    if (name === settings.instance || !isNobodys || isNetworkInUse(context, name)) continue;
    await removeOrphan(context, { kind: "disconnect-ingress", env, network: name }, report);
    // Named for its subnet, it may have been made anew for somebody meanwhile.
    if (isNetworkInUse(context, name)) continue;
    if (!(await removeOrphan(context, { kind: "remove-network", env, network: name }, report))) continue;
    anyRemoved = true;
    // It was kept from everybody else while it was held back.
    const range = readRange(subnet);
    if (range !== null && context.heldNetworks.delete(name)) context.subnets.free(range);
  }
  // Nobody's no more: it was kept from those who ask until now.
  if (anyRemoved) await noteTakenSubnets(context);
}

/** Removes route files, logs and secrets of environments that are nobody's; `held` are left alone. */
export async function removeStrayFiles(
  context: Context,
  held: ReadonlySet<string>,
  report: ReconcileReport,
): Promise<void> {
  const { router, logs, secrets, environments, logger } = context;
  try {
    const spares = context.ahead.spares.map(({ record }) => record.id);
    const known = [...environments.all().map(({ id }) => id), ...context.ongoing.admitted.keys(), ...spares, ...held];
    const strays = await router.removeStrays(new Set(known));
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

/** Removes one object of nobody; whether that went well. What fails is told and reported, and thrown by nobody. */
export async function removeOrphan(context: Context, step: Step, report: ReconcileReport): Promise<boolean> {
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
