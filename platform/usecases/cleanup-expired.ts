import { platformDeed } from "../domain/audit.ts";
import type { EnvironmentRecord } from "../domain/environment-record.ts";
import { describeError, isPlatformError, PlatformError } from "../domain/errors.ts";
import { isExpired } from "../domain/lifetime.ts";
import type { Context } from "./context.ts";
import { destroyEnvironment } from "./destroy-environment.ts";

/** Destroys every environment whose time is up; each action and its outcome is a line in cleanup.log. */
export async function cleanupExpired(context: Context): Promise<void> {
  const { environments, clock } = context;
  const expired = environments.all().filter((record) => isExpired(record, clock.now()) && record.status !== "creating");
  await Promise.all(expired.map((record) => expire(context, record.id, record.expires_at)));
}

async function expire(context: Context, id: string, expiredAt: string): Promise<void> {
  const { audit, events, logger } = context;
  events.emit({ type: "environment.expired", env_id: id, data: { expired_at: expiredAt } });
  await note(context, { action: "expired", env_id: id, expired_at: expiredAt });
  try {
    const { archived_logs } = await destroyEnvironment(context, id, (record) => extendedMeanwhile(context, record));
    audit.append(platformDeed("expire", id, null));
    await note(context, { action: "destroyed", env_id: id, archived_logs });
  } catch (error) {
    if (!isPlatformError(error, "conflict")) {
      logger.error({ err: error, env_id: id }, "cannot destroy an expired environment; the next sweep tries again");
    }
    audit.append(platformDeed("expire", id, describeError(error)));
    await note(context, { action: "failed", env_id: id, reason: describeError(error) });
  }
}

/** An extension that was granted while this waited for its turn counts. */
function extendedMeanwhile({ clock }: Context, record: EnvironmentRecord): PlatformError | null {
  if (isExpired(record, clock.now())) return null;
  return new PlatformError("conflict", `Cannot expire environment "${record.id}": it was extended meanwhile.`);
}

async function note({ logs, logger }: Context, action: Record<string, unknown>): Promise<void> {
  await logs.appendCleanup(action).catch((error: unknown) => logger.warn({ err: error }, "cannot write cleanup log"));
}
