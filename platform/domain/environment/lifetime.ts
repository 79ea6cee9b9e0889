import type { EnvironmentRecord } from "./record.ts";

/** The shortest lifetime that may be asked for, in seconds. */
export const MIN_TTL = 10;

/** A clock that is merely kept right is not set back by more. */
const MAX_CLOCK_SKEW_MS = 5_000;

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
 * Whether an environment may still live although its state file is in quarantine `since` then (milliseconds since the
 * epoch, as `now`): it could not be extended after that, and no extension reaches further than `maxTtl` seconds.
 */
export function mayStillLive(since: number, maxTtl: number, now: number): boolean {
  return now < since + maxTtl * 1000;
}

/** Whether the clock was set back since the latest of these moments (RFC 3339): by it they are yet to come. */
export function wasClockSetBackSince(stamps: string[], now: number): boolean {
  return stamps.some((stamp) => Date.parse(stamp) > now + MAX_CLOCK_SKEW_MS);
}

/**
 * Whether a running outage has reached its own end. After the clock was set back, the outage has not even begun by it,
 * and its true age is unknown: it ends now, since waiting for the clock would make it longer by as much.
 */
export function isOutageOver({ outage }: EnvironmentRecord, now: number): boolean {
  if (outage === null || outage.ends_at === null) return false;
  return Date.parse(outage.ends_at) <= now || wasClockSetBackSince([outage.started_at], now);
}
