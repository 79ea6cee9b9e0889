import { PlatformError } from "../../kernel/errors.ts";
import type { Context } from "../context.ts";

/** Throws `shutting_down` once the platform is told to stop: what has not begun by then is not begun. `what` completes "Cannot …". */
export function assertNotStopping({ stopping }: Pick<Context, "stopping">, what: string): void {
  if (stopping.aborted) throw shuttingDown(what);
}

export function shuttingDown(what: string, cause?: unknown): PlatformError {
  const detail = `Cannot ${what}: the platform is shutting down. Try again once it is back.`;
  return new PlatformError("shutting_down", detail, { cause });
}
