import { platformAction } from "../../domain/access/audit.ts";
import { isExpired } from "../../domain/environment/lifetime.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";
import type { Destruction } from "./destruction.ts";

type ExpiryDeps = Needs<"environments" | "audit" | "events" | "logs" | "clock" | "logger" | "stopping"> & {
  destruction: Pick<Destruction, "destroyUnless">;
};

/**
 * Destroys every environment whose time is up; each action and its outcome is a line in cleanup.log. Ends when the
 * destructions that it began have ended; a call meanwhile begins those of others.
 */
export function createExpiry(deps: ExpiryDeps) {
  const { environments, destruction, audit, events, logs, clock, logger, stopping } = deps;
  const expiring = new Set<string>();

  async function expire({ id, expires_at: expired_at }: EnvironmentRecord): Promise<void> {
    expiring.add(id);
    try {
      events.emit({ type: "environment.expired", env_id: id, data: { expired_at } });
      await note({ action: "expired", env_id: id, expired_at });
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

  return async (): Promise<void> => {
    if (stopping.aborted) return; // the next start expires them
    const expired = environments
      .all()
      .filter((record) => isExpired(record, clock.now()) && record.status !== "creating" && !expiring.has(record.id));
    await Promise.all(expired.map(expire));
  };
}
