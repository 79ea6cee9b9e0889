import type { LogLine, LogOptions } from "../../workloads/workloads.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { conflict, isUp, type FakeContainer, type FakeState } from "./fake-state.ts";
import { normalizeTimestamp } from "../../workloads/docker/logs.ts";

const BATCH_LINES = 256;
const MAX_LINE_BYTES = 64 * 1024;

/** Appends text to a container's output: whole lines, split where they are too long. */
export function writeFakeLog(
  state: FakeState,
  container: FakeContainer,
  stream: LogLine["stream"],
  text: string,
): void {
  const lines = text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n");
  for (const line of lines) {
    const timestamp = state.stamp();
    const bytes = Buffer.from(line);
    for (let at = 0; at === 0 || at < bytes.length; at += MAX_LINE_BYTES) {
      const end = at + MAX_LINE_BYTES;
      const rest = end < bytes.length ? ({ continued: true } as const) : {};
      container.log.push({ timestamp, stream, text: bytes.toString("utf8", at, end), ...rest });
    }
  }
  container.changed.notify();
}

/** A container's output; see ContainerEngine.logs. */
export async function* readFakeLogs(
  state: FakeState,
  name: string,
  options: LogOptions,
): AsyncGenerator<LogLine[], void, undefined> {
  const { tail, follow, signal } = options;
  if (signal.aborted) return;
  const since = options.since === undefined ? "" : normalizeTimestamp(options.since);
  const container = state.containers.get(name);
  if (container === undefined) throw conflict("read the output of", "container", name, "it does not exist");
  const { run } = container;
  const isGoingOn = (): boolean => follow && container.run === run && isUp(container);

  let next = container.log.length;
  const written = tail === undefined ? container.log.slice() : container.log.slice(Math.max(0, next - tail));
  let lines = written.filter((line) => line.timestamp >= since);
  for (;;) {
    for (let at = 0; at < lines.length && !signal.aborted; at += BATCH_LINES) yield lines.slice(at, at + BATCH_LINES);
    if (!state.available)
      throw new PlatformError(
        "engine_unavailable",
        `Cannot read the output of container "${name}": the engine went away`,
      );
    if (signal.aborted || (next === container.log.length && !isGoingOn())) return;
    if (next === container.log.length) await container.changed.next(signal);
    lines = container.log.slice(next).filter((line) => line.timestamp >= since);
    next = container.log.length;
  }
}
