import type { Request } from "express";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { PlatformError } from "../../kernel/errors.ts";

/** The `:id` of a path; `environment_not_found` when it does not have the shape of an id. */
export function environmentId(request: Request): string {
  const id = String(request.params["id"]);
  if (isEnvironmentId(id)) return id;
  throw new PlatformError(
    "environment_not_found",
    `Cannot find environment ${JSON.stringify(id.slice(0, 80))}: that is not an id. GET /envs lists the living ones.`,
  );
}
