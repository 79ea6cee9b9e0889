import { platformDeed } from "../domain/audit.ts";
import { describeError } from "../domain/errors.ts";
import { isOutageOver } from "../domain/lifetime.ts";
import type { Context } from "./context.ts";
import { recoverEnvironment } from "./recover.ts";

/** Recovers every environment whose outage has reached its end, also one that ended while the platform was down. */
export async function endOutages(context: Context): Promise<void> {
  const { audit, environments, clock, logger, locks } = context;
  const over = environments.all().filter((record) => isOutageOver(record, clock.now()) && !locks.isHeld(record.id));
  await Promise.all(
    over.map((record) =>
      recoverEnvironment(context, record.id).then(
        () => audit.append(platformDeed("recover", record.id, null)),
        (error: unknown) => {
          audit.append(platformDeed("recover", record.id, describeError(error)));
          logger.error({ err: error, env_id: record.id }, "cannot end an outage; trying again");
        },
      ),
    ),
  );
}
