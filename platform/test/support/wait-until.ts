import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until `look` gives something truthy and returns it. A look that throws counts as "not yet";
 * after `timeoutMs` the last failure or value is told.
 */
export async function waitUntil<T>(
  what: string,
  look: () => T | Promise<T>,
  timeoutMs = 10_000,
  everyMs = 100,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await look();
      if (value) return value as NonNullable<T>;
      last = value;
    } catch (error) {
      last = error instanceof Error ? error.message : error;
    }
    await sleep(everyMs);
  }
  throw new Error(`Waited ${timeoutMs} ms for ${what}; last seen: ${JSON.stringify(last)}`);
}
