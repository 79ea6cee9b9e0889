import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { isPlatformError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";

/**
 * Saves the intended record before the first side effect, so that a platform that dies finishes it. A full disk must
 * not keep callers from destroying or recovering an environment: then the operation goes on without a saved intent,
 * and a platform that dies in that moment restores the old record's state. Returns whether the intent was saved;
 * throws every other failure.
 */
export async function persistIntent(
  { environments, logger }: { environments: Pick<EnvironmentStore, "save">; logger: Pick<Logger, "warn"> },
  intent: EnvironmentRecord,
  doing: string,
): Promise<boolean> {
  try {
    await environments.save(intent);
    return true;
  } catch (error) {
    if (!isPlatformError(error, "storage_failed")) throw error;
    logger.warn(
      { env_id: intent.id, doing, reason: error.message },
      "going on without a saved intent: the disk is full",
    );
    return false;
  }
}
