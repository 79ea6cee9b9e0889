import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";

/** Ids become part of paths: what is none of ours never does. Throws `internal_error`, since callers have checked before. */
export function assertEnvironmentId(id: string, verb: string): void {
  if (!isEnvironmentId(id))
    throw new PlatformError("internal_error", `Cannot ${verb} "${id}": that is no environment's id`);
}
