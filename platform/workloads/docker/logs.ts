import { PlatformError } from "../../kernel/errors.ts";
import type { LogLine, LogOptions } from "../workloads.ts";
import type { DockerClient } from "./client.ts";
import { toPlatformError } from "./errors.ts";
import { normalizeTimestamp, readLogLines } from "./log-stream.ts";
import { findContainer } from "./own-objects.ts";

/** A container's output, on a Docker engine; see ContainerEngine.logs. */
export async function* readDockerLogs(
  client: DockerClient,
  name: string,
  options: LogOptions,
): AsyncGenerator<LogLine[], void, undefined> {
  const { follow, tail, signal } = options;
  if (signal.aborted) return;
  const since = options.since === undefined ? undefined : normalizeTimestamp(options.since);
  const action = `read the output of container "${name}"`;
  try {
    const container = await findContainer(client, name);
    if (container === null) throw new PlatformError("conflict", `Cannot ${action}: it does not exist`);
    const query = {
      follow,
      stdout: true,
      stderr: true,
      timestamps: true,
      tail: tail === undefined ? "all" : String(tail),
      ...(since === undefined ? {} : { since: engineTime(since) }),
    };
    const source = await client.stream(
      action,
      // Without `follow` dockerode reads everything into memory, and takes text that is JSON apart: it is
      // told to follow whatever the query says.
      (docker, abortSignal) =>
        docker
          .getContainer(container.Id)
          .logs({ follow: true, abortSignal, _query: query } as { follow: true; abortSignal: AbortSignal }),
      { 404: "conflict" },
      signal,
    );
    yield* readLogLines(source, since);
  } catch (error) {
    if (signal.aborted) return;
    throw toPlatformError(error, action);
  }
}

/** A normalized timestamp as the engine takes it: seconds since the epoch, and nanoseconds. */
function engineTime(timestamp: string): string {
  return `${Date.parse(`${timestamp.slice(0, 19)}Z`) / 1000}.${timestamp.slice(20, 29)}`;
}
