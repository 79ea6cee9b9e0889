import { platformAction } from "../../domain/access/audit.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { describeError } from "../../kernel/errors.ts";
import { isExpired } from "../../domain/environment/lifetime.ts";
import type { Context, DestroyedEnvironment } from "../context.ts";
import { destroyUnless } from "./destroy-environment.ts";

/**
 * Destroys every environment whose time is up; each action and its outcome is a line in cleanup.log. Ends when the
 * destructions that it began have; a call meanwhile begins those of others.
 */
export async function cleanupExpired(context: Context): Promise<void> {
  const { clock, environments, ongoing, stopping } = context;
  if (stopping.aborted) return; // the next start's
  const expired = environments
    .all()
    .filter((record) => isExpired(record, clock.now()) && record.status !== "creating")
    .filter(({ id }) => !ongoing.expiring.has(id));
  await Promise.all(expired.map((record) => expire(context, record)));
}

async function expire(context: Context, { id, expires_at: expiredAt }: EnvironmentRecord): Promise<void> {
  const { clock, events, ongoing } = context;
  ongoing.expiring.add(id);
  try {
    events.emit({ type: "environment.expired", env_id: id, data: { expired_at: expiredAt } });
    await note(context, { action: "expired", env_id: id, expired_at: expiredAt });
    // An extension that was granted while this waited for its turn counts.
    const destroyed = await destroyUnless(context, id, (record) => !isExpired(record, clock.now()));
    if (destroyed === null)
      await tellFailure(context, id, `Cannot expire environment "${id}": it was extended meanwhile.`);
    else await tellSuccess(context, destroyed);
  } catch (error) {
    context.logger.error(
      { err: error, env_id: id },
      "cannot destroy an expired environment; the next sweep tries again",
    );
    await tellFailure(context, id, describeError(error));
  } finally {
    ongoing.expiring.delete(id);
  }
}

async function tellSuccess(context: Context, { id, archived_logs }: DestroyedEnvironment): Promise<void> {
  context.audit.append(platformAction("expire", id, null));
  await note(context, { action: "destroyed", env_id: id, archived_logs });
}

async function tellFailure(context: Context, id: string, reason: string): Promise<void> {
  context.audit.append(platformAction("expire", id, reason));
  await note(context, { action: "failed", env_id: id, reason });
}

async function note({ logs, logger }: Context, action: Record<string, unknown>): Promise<void> {
  await logs.appendCleanup(action).catch((error: unknown) => logger.warn({ err: error }, "cannot write cleanup log"));
}
