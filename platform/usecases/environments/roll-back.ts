import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { planDown } from "../../domain/plan/plan.ts";
import type { Needs } from "../deps.ts";
import { persistIntent } from "./persist-intent.ts";
import type { StepExecutor } from "./step-executor.ts";

export type RollBack = ReturnType<typeof createRollBack>;

/**
 * Takes down what was made of an environment that did not come up. The reconciler would bring up a record that is on
 * disk as running, so that is corrected first. `what` names the environment in the log. Returns whether all of it is
 * gone; never throws.
 */
export function createRollBack({
  environments,
  logger,
  steps,
}: Needs<"environments" | "logger"> & { steps: StepExecutor }) {
  return async (record: EnvironmentRecord, what: string): Promise<boolean> => {
    const unfinished: EnvironmentRecord = { ...record, status: "creating" };
    try {
      const saved = environments.get(record.id);
      if (saved !== null && saved.status !== "creating")
        await persistIntent({ environments, logger }, unfinished, "rolling back");
      await steps.apply(planDown(unfinished));
      return true;
    } catch (error) {
      logger.error({ err: error, env_id: record.id }, `cannot take down ${what}; the reconciler will`);
      return false;
    }
  };
}
