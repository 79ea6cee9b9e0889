import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";

/**
 * Throws `internal_error` for a text that is no environment's id: ids become part of paths, and callers have checked
 * them.
 */
export function assertEnvironmentId(id: string, verb: string): void {
  if (!isEnvironmentId(id))
    throw new PlatformError("internal_error", `Cannot ${verb} "${id}": that is no environment's id`);
}
