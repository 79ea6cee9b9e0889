import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { planDown } from "../../domain/plan/plan.ts";
import { parseSubnet } from "../../domain/network/subnets.ts";
import { applySteps } from "./apply-steps.ts";
import type { Context } from "../context.ts";
import { persistIntent } from "./persist-intent.ts";

/**
 * Takes down what was made of an environment that nobody will have, and gives its subnet back. What cannot be
 * taken down now, the reconciler does, which would bring up one that is on disk as running: that is put right first.
 * `what` names it in the log. Never throws.
 */
export async function rollBack(context: Context, record: EnvironmentRecord, what: string): Promise<void> {
  const { environments, logger, subnets } = context;
  const unfinished: EnvironmentRecord = { ...record, status: "creating" };
  try {
    const saved = environments.get(record.id);
    if (saved !== null && saved.status !== "creating") await persistIntent(context, unfinished, "withdraw");
    await applySteps(planDown(unfinished), context);
  } catch (error) {
    logger.error({ err: error, env_id: record.id }, `cannot take down ${what}; the reconciler will`);
    // While there is a record its subnet is the record's; without one no reconciler would give it back.
    if (environments.get(record.id) !== null) return;
  }
  subnets.free(parseSubnet(record.network.subnet));
}
