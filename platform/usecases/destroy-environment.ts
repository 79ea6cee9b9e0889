import type { EnvironmentRecord } from "../domain/environment-record.ts";
import type { PlatformError } from "../domain/errors.ts";
import { planDown } from "../domain/plan.ts";
import { parseSubnet } from "../domain/subnets.ts";
import { applySteps } from "./apply-steps.ts";
import type { Context, DestroyedEnvironment } from "./context.ts";
import { assertOwnNames, findEnvironment } from "./find-environment.ts";
import { fillLater } from "./make-ahead.ts";
import { noteIntent } from "./note-intent.ts";

/**
 * Destroys an environment, cutting a creation under way short. Two calls at once share one
 * destruction and one answer. A step that fails is thrown; the reconciler finishes the rest.
 * `unless`, asked once nothing else works on the environment, may still call it off with an error.
 */
export async function destroyEnvironment(
  context: Context,
  id: string,
  unless: (record: EnvironmentRecord) => PlatformError | null = () => null,
): Promise<DestroyedEnvironment> {
  const { destroying, creating } = context.ongoing;
  const underWay = destroying.get(id);
  if (underWay !== undefined) return underWay;
  findEnvironment(context, id);
  const creation = creating.get(id);
  creation?.cancel.abort();
  const destruction = context.locks.run(id, async (): Promise<DestroyedEnvironment> => {
    // A creation that was cut short has taken itself down by now.
    if (creation !== undefined && context.environments.get(id) === null)
      return { id, status: "destroyed", archived_logs: null };
    const record = findEnvironment(context, id);
    const objection = unless(record);
    if (objection !== null) throw objection;
    return takeDown(context, record);
  });
  destroying.set(id, destruction);
  try {
    return await destruction;
  } finally {
    destroying.delete(id);
    fillLater(context);
  }
}

/** Takes an environment down whose lock is held. */
export async function takeDown(context: Context, record: EnvironmentRecord): Promise<DestroyedEnvironment> {
  const { events, failures, logs, subnets } = context;
  const { id } = record;
  assertOwnNames(context, record);
  // A creation that was cut off keeps its status: planDown then leaves no archive of what never ran.
  const leaving: EnvironmentRecord = record.status === "creating" ? record : { ...record, status: "destroying" };
  if (leaving.status !== record.status) await noteIntent(context, leaving, "destroying");
  events.emit({ type: "environment.destroying", env_id: id });
  await applySteps(planDown(leaving), context);
  subnets.free(parseSubnet(record.network.subnet));
  failures.delete(id);
  events.emit({ type: "environment.destroyed", env_id: id, owner: record.owner });
  return { id, status: "destroyed", archived_logs: record.status === "creating" ? null : logs.archivePath(id) };
}
