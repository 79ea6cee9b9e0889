import { platformAction } from "../../domain/access/audit.ts";
import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import { isOutageOver } from "../../domain/environment/lifetime.ts";
import type { Context, OutageRetry } from "../context.ts";
import { recoverEnvironment } from "./recover-environment.ts";

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/**
 * Recovers every environment whose outage has reached its end, also one that ended while the platform was down.
 * What cannot be recovered is tried again after a pause that doubles each time; only its first failure and its
 * success are told. Ends when the recoveries that it began have; a call meanwhile begins those of others.
 */
export async function endOutages(context: Context): Promise<void> {
  const { clock, environments, locks, outageRetries } = context;
  const over = environments.all().filter((record) => isUp(record) && isOutageOver(record, clock.now()));
  for (const id of outageRetries.keys()) if (!over.some((record) => record.id === id)) outageRetries.delete(id);
  // Whatever has the lock, a recovery that is under way among others, goes first.
  const due = over.filter(({ id }) => !locks.isHeld(id));
  const isDue = (record: EnvironmentRecord) => (retryOf(context, record)?.dueAt ?? 0) <= clock.monotonic();
  await Promise.all(due.filter(isDue).map((record) => end(context, record)));
}

async function end(context: Context, record: EnvironmentRecord): Promise<void> {
  const { audit, clock, environments, logger, outageRetries } = context;
  const { id } = record;
  const failures = retryOf(context, record)?.failures ?? 0;
  try {
    await recoverEnvironment(context, id);
    audit.append(platformAction("recover", id, null));
    if (failures > 0) logger.info({ env_id: id, failures }, "outage ended after all");
  } catch (error) {
    const startedAt = environments.get(id)?.outage?.started_at;
    if (startedAt === undefined) return; // being destroyed meanwhile ends it as well
    const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
    outageRetries.set(id, { startedAt, failures: failures + 1, dueAt: clock.monotonic() + pause });
    if (failures > 0) return;
    audit.append(platformAction("recover", id, describeError(error)));
    logger.error({ err: error, env_id: id }, "cannot end an outage; trying again, each time after a longer pause");
  }
}

/** None when it was another outage that could not be ended. */
function retryOf({ outageRetries }: Context, { id, outage }: EnvironmentRecord): OutageRetry | undefined {
  const retry = outageRetries.get(id);
  return retry?.startedAt === outage?.started_at ? retry : undefined;
}
