import { describeError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import type { ReconcileReport } from "./orphans.ts";

export type RepairStateFiles = ReturnType<typeof createRepairStateFiles>;

/**
 * Writes state files anew that were removed or damaged under the running platform, which holds every record in memory;
 * without its file an environment would be taken for an orphan at the next start. A file that was edited and can be
 * read is left alone.
 */
export function createRepairStateFiles(deps: Needs<"environments" | "locks" | "events" | "logger">) {
  const { environments, locks, events, logger } = deps;

  /** Returns whether the record is on the disk again. */
  async function rewrite(id: string, report: ReconcileReport): Promise<boolean> {
    if (locks.isHeld(id)) return false; // the operation in progress saves the record in the end
    try {
      await locks.run(id, async () => {
        const record = environments.get(id);
        if (record === null) return;
        await environments.save(record);
        logger.warn({ env_id: id }, "state file written anew: it was gone or damaged");
        events.emit({ type: "environment.repaired", env_id: id, data: { steps: [`save-record ${id}`] } });
      });
      if (!report.repaired.includes(id)) report.repaired.push(id);
      return true;
    } catch (error) {
      report.failed.push(id);
      logger.error({ err: error, env_id: id }, "cannot write a state file anew; trying again in a minute");
      events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: describeError(error) } });
      return false;
    }
  }

  return async (report: ReconcileReport): Promise<void> => {
    let areAllThere = true;
    for (const id of await environments.damaged()) if (!(await rewrite(id, report))) areAllThere = false;
    if (areAllThere) await environments.restoreSentinel();
  };
}
