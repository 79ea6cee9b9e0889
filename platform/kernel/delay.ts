import { setTimeout as sleep } from "node:timers/promises";

/** Waits `ms` milliseconds or until `signal` aborts, whichever comes first. Does not throw on abort: ask the signal. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
