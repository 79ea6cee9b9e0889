import { describeError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";

export type RepairStateFiles = ReturnType<typeof createRepairStateFiles>;

/**
 * Writes state files anew that were removed or damaged under the running platform, which holds every record in memory;
 * without its file an environment would be taken for an orphan at the next start. Returns the ids that were repaired
 * and the ids that were not. A file that was edited and can be read is left alone.
 */
export function createRepairStateFiles(deps: Needs<"environments" | "locks" | "events" | "logger">) {
  const { environments, locks, events, logger } = deps;

  async function rewrite(id: string): Promise<"repaired" | "failed"> {
    try {
      await locks.run(id, async () => {
        const record = environments.get(id);
        if (record === null) return;
        await environments.save(record);
        logger.warn({ env_id: id }, "state file written anew: it was gone or damaged");
        events.emit({ type: "environment.repaired", env_id: id, data: { steps: [`save-record ${id}`] } });
      });
      return "repaired";
    } catch (error) {
      logger.error({ err: error, env_id: id }, "cannot write a state file anew; trying again in a minute");
      events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: describeError(error) } });
      return "failed";
    }
  }

  return async (): Promise<{ repaired: string[]; failed: string[] }> => {
    const outcome: { repaired: string[]; failed: string[] } = { repaired: [], failed: [] };
    const damaged = await environments.damaged();
    for (const id of damaged) {
      if (locks.isHeld(id)) continue; // the operation in progress saves the record in the end
      outcome[await rewrite(id)].push(id);
    }
    if (outcome.repaired.length === damaged.length) await environments.restoreSentinel();
    return outcome;
  };
}
