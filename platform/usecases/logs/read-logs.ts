import type { LogQuery } from "../../domain/log-query.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Needs } from "../deps.ts";

/** The last matching lines of an environment, living or destroyed. `environment_not_found` when it never was. */
export async function readLogs(
  { environments, logs }: Needs<"environments" | "logs">,
  id: string,
  query: LogQuery,
): Promise<string[]> {
  const lines = await logs.read(id, query);
  if (lines !== null) return lines;
  if (environments.get(id) !== null) return [];
  const detail = `Cannot find logs of environment "${id}": it never existed or its archive is gone.`;
  throw new PlatformError("environment_not_found", detail);
}

/**
 * The last matching lines, then those to come, until the environment ends or `signal` aborts; of a destroyed one, the
 * last lines. Never in memory as a whole, since a slow reader may leave them there.
 */
export function followLogs(
  { environments, logs }: Needs<"environments" | "logs">,
  id: string,
  query: LogQuery,
  signal: AbortSignal,
): AsyncIterable<string> {
  return logs.follow(id, { ...query, isOver: environments.get(id) === null }, signal);
}
