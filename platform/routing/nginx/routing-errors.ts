import { describeError, isPlatformError, PlatformError } from "../../kernel/errors.ts";
import type { Change } from "./sift-changes.ts";

/** Why a change was not made live, as whoever asked for it is told; `isCutOff`: the platform has no time left to wait for Nginx. */
export function refusalOf(change: Change, cause: unknown, isCutOff: boolean): unknown {
  if (isTold(cause)) return cause;
  return isCutOff ? shuttingDown(change, cause) : unavailable(change, cause);
}

/** What is on record is finished or undone by the next start. */
export function shuttingDown(change: Change, cause?: unknown): PlatformError {
  const detail = `Cannot ${verbOf(change)} "${change.file}": the platform is shutting down. Try again once it is back.`;
  return new PlatformError("shutting_down", detail, { cause });
}

/** A failure whose own words say what to do: of the disk, or of the engine that Nginx is told things through. */
function isTold(cause: unknown): boolean {
  return isPlatformError(cause, "storage_failed") || isPlatformError(cause, "engine_unavailable");
}

function unavailable(change: Change, cause: unknown): PlatformError {
  const detail = `Cannot ${verbOf(change)} "${change.file}": Nginx cannot be reloaded: ${describeError(cause)}. If it does not run, start it with \`make up\`; then try again.`;
  return new PlatformError("ingress_unavailable", detail, { cause });
}

function verbOf({ text }: Change): string {
  return text === null ? "unroute" : "route";
}
