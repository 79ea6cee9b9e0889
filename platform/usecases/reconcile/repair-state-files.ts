import { describeError } from "../../kernel/errors.ts";
import type { Context } from "../context.ts";

/**
 * Writes the state files anew that somebody removed or damaged under the running platform, which holds
 * every record in memory; without its file an environment would be taken for an orphan at the next
 * start. Returns what was repaired and what not. A file that was edited and can be read is left alone.
 */
export async function repairStateFiles(context: Context): Promise<{ repaired: string[]; failed: string[] }> {
  const { environments, locks } = context;
  const outcome: { repaired: string[]; failed: string[] } = { repaired: [], failed: [] };
  const damaged = await environments.damaged();
  for (const id of damaged) {
    if (locks.isHeld(id)) continue; // whatever is under way saves it in the end
    outcome[(await rewrite(context, id)) ? "repaired" : "failed"].push(id);
  }
  if (outcome.repaired.length === damaged.length) await environments.restoreSentinel();
  return outcome;
}

async function rewrite({ environments, locks, events, logger }: Context, id: string): Promise<boolean> {
  try {
    await locks.run(id, async () => {
      const record = environments.get(id);
      if (record === null) return;
      await environments.save(record);
      logger.warn({ env_id: id }, "state file written anew: it was gone or damaged");
      events.emit({ type: "environment.repaired", env_id: id, data: { steps: [`save-record ${id}`] } });
    });
    return true;
  } catch (error) {
    logger.error({ err: error, env_id: id }, "cannot write a state file anew; trying again in a minute");
    events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: describeError(error) } });
    return false;
  }
}
