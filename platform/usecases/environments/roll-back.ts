import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { planDown } from "../../domain/plan/plan.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import { persistIntent } from "./persist-intent.ts";
import type { StepExecutor } from "./step-executor.ts";

export type RollBackDeps = {
  environments: EnvironmentStore;
  steps: StepExecutor;
  logger: Pick<Logger, "warn" | "error">;
};

/**
 * Takes down whatever was made of an environment that did not come up. The reconciler finishes what fails here; it
 * would bring up a record that is on disk as running, so that is corrected first. `what` names the environment in the
 * log. Returns whether all of it is gone. Never throws.
 */
export type RollBack = (record: EnvironmentRecord, what: string) => Promise<boolean>;

export function createRollBack({ environments, steps, logger }: RollBackDeps): RollBack {
  return async (record, what) => {
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
