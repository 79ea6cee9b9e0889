/** The one source of time, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** The present time, ISO 8601, UTC, milliseconds. */
  timestamp(): string;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timestamp: () => new Date().toISOString(),
};

/** A clock that stands still until it is moved. */
export function createFakeClock(start = Date.UTC(2030, 0, 1)): Clock & { advance(ms: number): void } {
  let now = start;
  return {
    now: () => now,
    timestamp: () => new Date(now).toISOString(),
    advance(ms) {
      now += ms;
    },
  };
}
