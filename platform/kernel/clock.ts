/** The one source of time, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. It jumps, either way, when somebody sets the clock or a sleeping machine wakes. */
  now(): number;
  /** The present time, ISO 8601, UTC, milliseconds. */
  timestamp(): string;
  /** Milliseconds since some moment; never jumps, so waits and pauses go by it. */
  monotonic(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timestamp: () => new Date().toISOString(),
  monotonic: () => performance.now(),
};

export type FakeClock = Clock & {
  /** Lets time pass. */
  advance(ms: number): void;
  /** Sets it, forward or back, without any time passing. */
  step(ms: number): void;
};

/** A clock that stands still until it is moved. */
export function createFakeClock(start = Date.UTC(2030, 0, 1)): FakeClock {
  let now = start;
  let passed = 0;
  return {
    now: () => now,
    timestamp: () => new Date(now).toISOString(),
    monotonic: () => passed,
    advance(ms) {
      now += ms;
      passed += ms;
    },
    step(ms) {
      now += ms;
    },
  };
}
