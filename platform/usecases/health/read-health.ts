import type { Status } from "../../domain/environment/record.ts";
import type { HealthCheck } from "../../domain/health-rule.ts";
import type { Needs } from "../deps.ts";
import { findEnvironment } from "../environments/find-environment.ts";

const CHECKS = 10;

/** An environment's status and its last ten checks, oldest first. */
export async function readHealth(
  { environments, logs }: Needs<"environments" | "logs">,
  id: string,
): Promise<{ env_id: string; status: Status; checks: HealthCheck[] }> {
  const { status } = findEnvironment(environments, id);
  const checks = await logs.readHealth(id, CHECKS);
  // Logged as they ended; a probe that hung began before quick ones that ended first.
  return { env_id: id, status, checks: checks.toSorted((a, b) => a.timestamp.localeCompare(b.timestamp)) };
}
