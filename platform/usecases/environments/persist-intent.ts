import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { isPlatformError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";

/**
 * Saves the intended record before the first side effect, so that a platform that dies finishes it. A full disk must
 * not keep callers from destroying or recovering an environment: then the operation goes on without a saved intent,
 * and a platform that dies in that moment restores the old record's state. Returns whether the intent was saved;
 * throws every other failure.
 */
export async function persistIntent(
  { environments, logger }: Needs<"environments" | "logger">,
  intent: EnvironmentRecord,
  doing: string,
): Promise<boolean> {
  try {
    await environments.save(intent);
    return true;
  } catch (error) {
    if (!isPlatformError(error, "storage_failed")) throw error;
    const facts = { env_id: intent.id, doing, reason: error.message };
    logger.warn(facts, "going on without a saved intent: the disk is full");
    return false;
  }
}
