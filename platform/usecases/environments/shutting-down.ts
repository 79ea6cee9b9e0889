import { PlatformError } from "../../kernel/errors.ts";

/** Throws `shutting_down` once the platform is told to stop: no new operation begins. `what` completes "Cannot …". */
export function assertNotStopping(stopping: AbortSignal, what: string): void {
  if (stopping.aborted) throw shuttingDown(what);
}

export function shuttingDown(what: string, cause?: unknown): PlatformError {
  const detail = `Cannot ${what}: the platform is shutting down. Try again once it is back.`;
  return new PlatformError("shutting_down", detail, { cause });
}
