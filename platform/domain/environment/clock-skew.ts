/** A clock that is merely kept right is not set back by more. */
export const MAX_CLOCK_SKEW_MS = 5_000;

/** Whether the clock was set back since the latest of these moments (RFC 3339): by it they are yet to come. */
export function wasClockSetBackSince(stamps: string[], now: number): boolean {
  return stamps.some((stamp) => Date.parse(stamp) > now + MAX_CLOCK_SKEW_MS);
}
