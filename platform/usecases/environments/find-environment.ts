import { isUp, type EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";

type Records = Pick<EnvironmentStore, "get">;

/** The record of a living environment; `environment_not_found` when there is none. */
export function findEnvironment(environments: Records, id: string): EnvironmentRecord {
  const record = environments.get(id);
  if (record === null) throw environmentNotFound(id);
  return record;
}

/** The caller has no environment of that id; the same words whether it never was or belongs to another owner. */
export function environmentNotFound(id: string): PlatformError {
  const reason = "it does not exist or has been destroyed. GET /envs lists the living ones.";
  return new PlatformError("environment_not_found", `Cannot find environment "${id}": ${reason}`);
}

/** The record, if it is up; `conflict` while it is being created or destroyed. */
export function findLiving(environments: Records, id: string): EnvironmentRecord {
  const record = findEnvironment(environments, id);
  if (isUp(record)) return record;
  const detail = `Cannot change environment "${id}": it is ${record.status}. Try again in a moment.`;
  throw new PlatformError("conflict", detail);
}
