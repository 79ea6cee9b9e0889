import type { EnvironmentRecord } from "./record.ts";
import { MAX_CLOCK_SKEW_MS } from "./clock-skew.ts";

/** The shortest lifetime that may be asked for, in seconds. */
export const MIN_TTL = 10;

/** Whether the environment's time is up. `now` in milliseconds since the epoch. */
export function isExpired(record: EnvironmentRecord, now: number): boolean {
  return Date.parse(record.expires_at) <= now;
}

/** Whole seconds until it is destroyed, never negative. */
export function remainingSeconds(record: EnvironmentRecord, now: number): number {
  return Math.max(0, Math.ceil((Date.parse(record.expires_at) - now) / 1000));
}

/**
 * The record with its end moved `seconds` later, from now where it is over already; at most `maxTtl` seconds from
 * now, and never sooner than it was.
 */
export function extendLifetime(
  record: EnvironmentRecord,
  seconds: number,
  maxTtl: number,
  now: number,
): EnvironmentRecord {
  const before = Date.parse(record.expires_at);
  const end = Math.max(before, Math.min(Math.max(before, now) + seconds * 1000, now + maxTtl * 1000));
  const ttl = Math.round((end - Date.parse(record.created_at)) / 1000);
  return { ...record, ttl, expires_at: new Date(end).toISOString() };
}

/**
 * Whether a running outage has reached its own end. By a clock that was set back, it has not even begun: how long
 * it has been in force nobody knows, and waiting for the clock would make it as much longer as the clock was set.
 */
export function isOutageOver({ outage }: EnvironmentRecord, now: number): boolean {
  if (outage === null || outage.ends_at === null) return false;
  return Date.parse(outage.ends_at) <= now || now < Date.parse(outage.started_at) - MAX_CLOCK_SKEW_MS;
}
