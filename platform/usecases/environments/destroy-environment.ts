import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { planDown } from "../../domain/plan/plan.ts";
import { parseSubnet } from "../../domain/network/subnets.ts";
import { applySteps } from "./apply-steps.ts";
import type { Context, DestroyedEnvironment } from "../context.ts";
import { assertOwnNames, findEnvironment } from "./find-environment.ts";
import { fillLater } from "../pool/warm-pool.ts";
import { persistIntent } from "./persist-intent.ts";
import { assertNotStopping } from "./shutting-down.ts";

/**
 * Destroys an environment, cutting a creation under way short. Two calls at once share one
 * destruction and one answer. A step that fails is thrown; the reconciler finishes the rest. `shutting_down` where
 * it has not begun when the platform stops, or takes longer than that may: the next start finishes it.
 */
export async function destroyEnvironment(context: Context, id: string): Promise<DestroyedEnvironment> {
  // Null: it joined one that was called off, for a reason that is not this caller's.
  return (await destroyUnless(context, id, () => false)) ?? destroyEnvironment(context, id);
}

/** The same, unless `objects`, asked once nothing else works on the environment, calls it off: null then. */
export async function destroyUnless(
  context: Context,
  id: string,
  objects: (record: EnvironmentRecord) => boolean,
): Promise<DestroyedEnvironment | null> {
  const { destroying, creating } = context.ongoing;
  const underWay = destroying.get(id);
  if (underWay !== undefined) return underWay;
  const found = findEnvironment(context, id);
  assertNotStopping(context, `destroy environment "${id}"`);
  creating.get(id)?.cancel.abort();
  const destruction = context.locks.run(id, async (): Promise<DestroyedEnvironment | null> => {
    const record = context.environments.get(id);
    // Whoever was before took it down: a creation that was cut short, or the reconciler, finishing a destruction.
    if (record === null) return destroyed(context, found);
    assertNotStopping(context, `destroy environment "${id}"`);
    return objects(record) ? null : takeDown(context, record);
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
  const { events, failures, router, ongoing, subnets } = context;
  const { id } = record;
  assertOwnNames(context, record);
  // A creation that was cut off keeps its status: planDown then leaves no archive of what never ran.
  const leaving: EnvironmentRecord = record.status === "creating" ? record : { ...record, status: "destroying" };
  if (leaving.status !== record.status) await persistIntent(context, leaving, "destroying");
  events.emit({ type: "environment.destroying", env_id: id });
  // What is in the way of closing it is in the way of removing the route as well, and told there.
  const door = await router.disable(id).catch(() => "busy" as const);
  // Of several at once the engine works on one while another's container ends, and is quicker the fewer it has begun.
  const isAlone = ongoing.destroying.size === 1;
  await applySteps(planDown(leaving, isAlone ? door : "busy"), context);
  subnets.free(parseSubnet(record.network.subnet));
  failures.delete(id);
  events.emit({ type: "environment.destroyed", env_id: id, owner: record.owner });
  return destroyed(context, record);
}

/** What is said of one that is gone; what never ran left no archive. */
function destroyed({ logs }: Context, { id, status }: EnvironmentRecord): DestroyedEnvironment {
  return { id, status: "destroyed", archived_logs: status === "creating" ? null : logs.archivePath(id) };
}
