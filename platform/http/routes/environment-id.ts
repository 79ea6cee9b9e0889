import type { Request } from "express";
import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";

/** The `:id` of a path; what does not have an id's shape names no environment and goes no further. */
export function environmentId(request: Request): string {
  const id = String(request.params["id"]);
  if (isEnvironmentId(id)) return id;
  throw new PlatformError(
    "environment_not_found",
    `Cannot find environment ${JSON.stringify(id.slice(0, 80))}: that is not an id. GET /envs lists the living ones.`,
  );
}
