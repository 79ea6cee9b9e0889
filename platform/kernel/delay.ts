import { setTimeout as sleep } from "node:timers/promises";

/** Waits `ms` milliseconds or until `signal` aborts, whichever is first; tells which by the signal, never by throwing. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
