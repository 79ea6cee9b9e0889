/** The one source of time, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. Jumps either way when the clock is set or a sleeping machine wakes. */
  now(): number;
  /** The present time, ISO 8601, UTC, milliseconds. */
  timestamp(): string;
  /** Milliseconds since an arbitrary moment. Never jumps, so waits and pauses go by it. */
  monotonic(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timestamp: () => new Date().toISOString(),
  monotonic: () => performance.now(),
};
