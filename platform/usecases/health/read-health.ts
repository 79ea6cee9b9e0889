import type { Status } from "../../domain/environment/record.ts";
import type { HealthCheck } from "../../domain/health-rule.ts";
import type { Context } from "../context.ts";
import { findEnvironment } from "../environments/find-environment.ts";

const CHECKS = 10;

/** An environment's status and its last ten checks, oldest first. */
export async function readHealth(
  context: Context,
  id: string,
): Promise<{ env_id: string; status: Status; checks: HealthCheck[] }> {
  const { status } = findEnvironment(context, id);
  const checks = await context.logs.readHealth(id, CHECKS);
  // Written down as they ended; a probe that hung began before others that were quick.
  return { env_id: id, status, checks: checks.toSorted((a, b) => a.timestamp.localeCompare(b.timestamp)) };
}
