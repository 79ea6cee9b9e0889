import type { Status } from "./environment/record.ts";

/** Consecutive failures after which an environment counts as degraded. */
export const FAILURES_TO_DEGRADE = 3;

/** One probe of an environment, as `health.log` holds it. */
export type HealthCheck = {
  /** When the probe began, ISO 8601. */
  timestamp: string;
  /** The HTTP status, or null when there was no answer. */
  status: number | null;
  /** True milliseconds from request to the end of the headers, or to giving up. */
  latency_ms: number;
  ok: boolean;
  error?: string;
};

/**
 * What one more check makes of a status. Only `running` and `degraded` change: three consecutive
 * failures degrade, one success restores. `failures` counts consecutive failures so far.
 */
export function judgeHealth(status: Status, failures: number, ok: boolean): { status: Status; failures: number } {
  if (ok) return { status: status === "degraded" ? "running" : status, failures: 0 };
  const next = failures + 1;
  return { status: status === "running" && next >= FAILURES_TO_DEGRADE ? "degraded" : status, failures: next };
}
