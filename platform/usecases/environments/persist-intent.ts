import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { isPlatformError } from "../../kernel/errors.ts";
import type { Context } from "../context.ts";

/**
 * Writes down what is about to be done, so that a platform that dies finishes it. A disk that is full must
 * keep nobody from destroying or recovering an environment: without the note a platform that dies in that
 * very moment puts the environment back as its old record says. Returns whether it was noted; throws what is
 * no fault of the disk.
 */
export async function persistIntent(
  { environments, logger }: Pick<Context, "environments" | "logger">,
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
      "going on without a note of it: the disk refuses one",
    );
    return false;
  }
}
