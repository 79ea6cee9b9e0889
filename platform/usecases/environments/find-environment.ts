import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { foreignName } from "../../domain/environment/names.ts";
import type { Context } from "../context.ts";

/** The record of a living environment; `environment_not_found` when there is none. */
export function findEnvironment({ environments }: Pick<Context, "environments">, id: string): EnvironmentRecord {
  const record = environments.get(id);
  if (record === null) throw environmentNotFound(id);
  return record;
}

/** Nothing of that id is there for the caller; the same words whether it never was or is somebody else's. */
export function environmentNotFound(id: string): PlatformError {
  return new PlatformError(
    "environment_not_found",
    `Cannot find environment "${id}": it does not exist or has been destroyed. GET /envs lists the living ones.`,
  );
}

/** The record, if it is up; `conflict` while it is being created or destroyed. */
export function findLiving(context: Pick<Context, "environments">, id: string): EnvironmentRecord {
  const record = findEnvironment(context, id);
  if (record.status === "creating" || record.status === "destroying") {
    throw new PlatformError(
      "conflict",
      `Cannot change environment "${id}": it is ${record.status}. Try again in a moment.`,
    );
  }
  return record;
}

/** `protected_target` when the record names an object that is not this environment's own: a state file was edited. */
export function assertOwnNames(
  { settings, environments }: Pick<Context, "settings" | "environments">,
  record: EnvironmentRecord,
): void {
  const foreign = foreignName(record, settings.instance);
  if (foreign !== null) throw edited(foreign, record.id);
  // Networks made ahead are named for nobody: of two that name one, a file does not say which is wrong.
  const { name } = record.network;
  const other = environments.all().find(({ id, network }) => id !== record.id && network.name === name);
  if (other !== undefined) throw edited(name, `${record.id}" or "${other.id}`);
}

function edited(name: string, ids: string): PlatformError {
  return new PlatformError(
    "protected_target",
    `Cannot touch "${name}": it is not part of environment "${ids}". Correct its state file in envs/ and restart the platform.`,
  );
}
