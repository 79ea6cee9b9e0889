import { platformAction } from "../../domain/access/audit.ts";
import { isExpired } from "../../domain/environment/lifetime.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { Clock } from "../../kernel/clock.ts";
import { describeError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { AuditLog } from "../../store/journal/audit-log.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { LogStore } from "../../store/logs/log-store.ts";
import type { Destruction } from "./destruction.ts";

export type ExpiryDeps = {
  environments: Pick<EnvironmentStore, "all">;
  destruction: Pick<Destruction, "destroyUnless">;
  audit: Pick<AuditLog, "append">;
  events: Pick<EventLog, "emit">;
  logs: Pick<LogStore, "appendCleanup">;
  clock: Pick<Clock, "now">;
  logger: Pick<Logger, "error" | "warn">;
  stopping: AbortSignal;
};

/**
 * Destroys every environment whose time is up; each action and its outcome is a line in cleanup.log. Ends when the
 * destructions that it began have ended; a call meanwhile begins those of others.
 */
export type CleanupExpired = () => Promise<void>;

export function createExpiry(deps: ExpiryDeps): CleanupExpired {
  const { environments, destruction, audit, events, logs, clock, logger, stopping } = deps;
  const expiring = new Set<string>();

  async function expire({ id, expires_at: expiredAt }: EnvironmentRecord): Promise<void> {
    expiring.add(id);
    try {
      events.emit({ type: "environment.expired", env_id: id, data: { expired_at: expiredAt } });
      await note({ action: "expired", env_id: id, expired_at: expiredAt });
      // An extension that was granted while this waited for the lock counts.
      const destroyed = await destruction.destroyUnless(id, (record) => !isExpired(record, clock.now()));
      if (destroyed === null) return await fail(id, `Cannot expire environment "${id}": it was extended meanwhile.`);
      audit.append(platformAction("expire", id, null));
      await note({ action: "destroyed", env_id: id, archived_logs: destroyed.archived_logs });
    } catch (error) {
      logger.error({ err: error, env_id: id }, "cannot destroy an expired environment; the next sweep tries again");
      await fail(id, describeError(error));
    } finally {
      expiring.delete(id);
    }
  }

  async function fail(id: string, reason: string): Promise<void> {
    audit.append(platformAction("expire", id, reason));
    await note({ action: "failed", env_id: id, reason });
  }

  async function note(action: Record<string, unknown>): Promise<void> {
    await logs.appendCleanup(action).catch((error: unknown) => logger.warn({ err: error }, "cannot write cleanup log"));
  }

  return async () => {
    if (stopping.aborted) return; // the next start expires them
    const expired = environments
      .all()
      .filter((record) => isExpired(record, clock.now()) && record.status !== "creating")
      .filter(({ id }) => !expiring.has(id));
    await Promise.all(expired.map(expire));
  };
}
