import { platformAction } from "../../domain/access/audit.ts";
import { isOutageOver } from "../../domain/environment/lifetime.ts";
import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import type { RecoverEnvironment } from "./recovery.ts";

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/** Of an outage that could not be ended: which, how often that failed, and when by the monotonic clock it is due again. */
type Retry = { startedAt: string; failures: number; dueAt: number };

type OutageExpiryDeps = Needs<"environments" | "audit" | "locks" | "clock" | "logger"> & {
  recover: RecoverEnvironment;
};

/**
 * Recovers every environment whose outage has reached its end, also one that ended while the platform was down. A
 * recovery that fails is tried again after a pause that doubles each time; only its first failure and its success are
 * told. Ends when the recoveries that it began have ended; a call meanwhile begins those of others. A restart forgets
 * the pauses, and every outage that is over is tried at once.
 */
export function createOutageExpiry(deps: OutageExpiryDeps) {
  const { environments, recover, audit, locks, clock, logger } = deps;
  const retries = new Map<string, Retry>();

  /** Undefined when it was another outage that could not be ended. */
  function retryOf({ id, outage }: EnvironmentRecord): Retry | undefined {
    const retry = retries.get(id);
    return retry?.startedAt === outage?.started_at ? retry : undefined;
  }

  async function end(record: EnvironmentRecord): Promise<void> {
    const { id } = record;
    const failures = retryOf(record)?.failures ?? 0;
    try {
      await recover(id);
      audit.append(platformAction("recover", id, null));
      if (failures > 0) logger.info({ env_id: id, failures }, "outage ended after all");
    } catch (error) {
      const startedAt = environments.get(id)?.outage?.started_at;
      if (startedAt === undefined) return; // a destruction meanwhile ends it as well
      const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
      retries.set(id, { startedAt, failures: failures + 1, dueAt: clock.monotonic() + pause });
      if (failures > 0) return;
      audit.append(platformAction("recover", id, describeError(error)));
      logger.error({ err: error, env_id: id }, "cannot end an outage; trying again, each time after a longer pause");
    }
  }

  return async (): Promise<void> => {
    const over = environments.all().filter((record) => isUp(record) && isOutageOver(record, clock.now()));
    for (const id of retries.keys()) if (!over.some((record) => record.id === id)) retries.delete(id);
    // The operation that holds the lock goes first; it may be a recovery in progress.
    const free = over.filter(({ id }) => !locks.isHeld(id));
    const due = free.filter((record) => (retryOf(record)?.dueAt ?? 0) <= clock.monotonic());
    await Promise.all(due.map(end));
  };
}
