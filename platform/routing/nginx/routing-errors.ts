import { describeError, isPlatformError, PlatformError } from "../../kernel/errors.ts";
import type { Change } from "./change-queue.ts";

/** Why a change was not applied, as its caller is told; `isShuttingDown`: the platform has no time left to wait for Nginx. */
export function routingError(change: Change, cause: unknown, isShuttingDown: boolean): unknown {
  // Of the disk, or of the engine: its own words say what to do.
  if (isPlatformError(cause, "storage_failed") || isPlatformError(cause, "engine_unavailable")) return cause;
  return isShuttingDown ? shuttingDown(change, cause) : unavailable(change, cause);
}

/** The next start finishes or undoes what is on record. */
export function shuttingDown(change: Change, cause?: unknown): PlatformError {
  const detail = `Cannot ${verbOf(change)} "${change.file}": the platform is shutting down. Try again once it is back.`;
  return new PlatformError("shutting_down", detail, { cause });
}

/** Nginx refuses the file; `reason` is its error. */
export function rejected({ file }: Change, reason: string): PlatformError {
  return new PlatformError("ingress_rejected", `Cannot route "${file}": Nginx refuses the configuration: ${reason}`);
}

function unavailable(change: Change, cause: unknown): PlatformError {
  const detail = `Cannot ${verbOf(change)} "${change.file}": Nginx cannot be reloaded: ${describeError(cause)}. If it does not run, start it with \`make up\`; then try again.`;
  return new PlatformError("ingress_unavailable", detail, { cause });
}

function verbOf({ text }: Change): string {
  return text === null ? "unroute" : "route";
}

/** The line of `nginx -t` that says why; warnings and the closing summary are left out. */
export function nginxErrorOf(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.find((line) => /\[(?:emerg|alert|crit)\]/.test(line)) ?? lines.at(-1) ?? "no reason given";
}
