import type { Clock } from "../../kernel/clock.ts";

type FakeClock = Clock & {
  /** Lets time pass. */
  advance(ms: number): void;
  /** Sets the wall clock forward or back, without any time passing. */
  step(ms: number): void;
};

/** A clock that stands still until a test moves it. */
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
