import { PlatformError } from "../../kernel/errors.ts";
import type { LogLine, LogOptions } from "../workloads.ts";
import type { Docker, DockerClient } from "./client.ts";
import { toPlatformError } from "./errors.ts";
import { createFrameParser, STDERR } from "./frames.ts";
import { findContainer } from "./own-objects.ts";

/** Lines in one batch, at most. */
const BATCH_LINES = 256;

/** Bytes in one line, at most, as the engine delivers them. */
const MAX_LINE_BYTES = 64 * 1024;

/** Length of a timestamp with nine decimals, `2026-01-02T03:04:05.123456789Z`, which a space follows. */
const STAMP_LENGTH = 30;

/** Going back by less, the engine repeats itself; by more, the machine's clock was set back. */
const MAX_REPLAY_MS = 5_000;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

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
      tail: tail ?? "all",
      ...(since === undefined ? {} : { since: engineTime(since) }),
    };
    // Told to follow, also where the query does not: else dockerode reads everything into memory, and parses JSON in it.
    const read = (docker: Docker, abortSignal: AbortSignal) =>
      docker.getContainer(container.Id).logs({ follow: true, abortSignal, _query: query } as { follow: true });
    yield* readLogLines(await client.stream(action, read, { 404: "conflict" }, signal), since);
  } catch (error) {
    if (signal.aborted) return;
    throw toPlatformError(error, action);
  }
}

/** A normalized timestamp as the engine takes it: seconds since the epoch, and nanoseconds. */
function engineTime(timestamp: string): string {
  return `${Date.parse(`${timestamp.slice(0, 19)}Z`) / 1000}.${timestamp.slice(20, 29)}`;
}

/**
 * One of the container's two streams: the stamp of its last line, and that line's bytes while the engine has delivered
 * only its beginning.
 */
type Channel = { stream: LogLine["stream"]; stamp: string; open: Buffer | null };

/**
 * Turns chunks of a container's log, split anywhere, into lines. Each frame is a timestamp, a space and up to 16 KiB of
 * one line; only a line's last frame ends with a line end, and all of its frames bear one stamp. Within a stream stamps
 * ascend strictly, between the streams they do not. When the log file is rotated, the engine gives a follower the first
 * lines of the new file twice: a stamp that is not above its stream's last one is such a repetition.
 */
export function createLogAssembler() {
  const stdout: Channel = { stream: "stdout", stamp: "", open: null };
  const stderr: Channel = { stream: "stderr", stamp: "", open: null };
  const lines: LogLine[] = [];

  function finish(channel: Channel): void {
    const { stream, stamp, open } = channel;
    if (open === null) return;
    const length = open.at(-1) === CR ? open.length - 1 : open.length;
    lines.push({ timestamp: stamp, stream, text: open.toString("utf8", 0, length) });
    channel.open = null;
  }

  const parse = createFrameParser((kind, payload) => {
    if (payload.length === 0) return;
    const channel = kind === STDERR ? stderr : stdout;
    const stamp = readStamp(payload);
    if (isRepeated(channel, stamp)) return;
    // Cut off without a line end by the container's exit; what follows is another run's.
    if (stamp !== channel.stamp) finish(channel);
    channel.stamp = stamp;
    const isComplete = payload.at(-1) === LF;
    const piece = payload.subarray(STAMP_LENGTH + 1, isComplete ? -1 : undefined);
    let text = channel.open === null ? piece : Buffer.concat([channel.open, piece]);
    while (text.length > MAX_LINE_BYTES) {
      const cut = characterBoundary(text, MAX_LINE_BYTES);
      lines.push({ timestamp: stamp, stream: channel.stream, text: text.toString("utf8", 0, cut), continued: true });
      text = text.subarray(cut);
    }
    // What stays is a copy, as the payload is a view into a whole chunk.
    channel.open = isComplete ? text : Buffer.from(text);
    if (isComplete) finish(channel);
  });

  return {
    /** The lines that this chunk completes. */
    push(chunk: Buffer): LogLine[] {
      parse(chunk);
      return lines.splice(0);
    },
    /** The lines at the log's end that have no line end. */
    flush(): LogLine[] {
      finish(stdout);
      finish(stderr);
      return lines.splice(0);
    },
  };
}

/** Whether the engine has delivered this before. Accepts a clock that was set back. */
function isRepeated({ stamp: last, open }: Channel, stamp: string): boolean {
  if (stamp > last) return false;
  if (stamp === last) return open === null;
  return Date.parse(last) - Date.parse(stamp) <= MAX_REPLAY_MS;
}

/**
 * The lines of a log stream in batches, none before `since` (a LogLine's timestamp). Pulls a chunk at
 * a time, so that a slow reader slows the engine; leaving the loop early destroys a stream given as
 * `source`. Throws what the source throws: lines that a broken connection cut are not emitted.
 */
export async function* readLogLines(
  source: AsyncIterable<Buffer>,
  since?: string,
): AsyncGenerator<LogLine[], void, undefined> {
  const assembler = createLogAssembler();
  for await (const chunk of source) yield* inBatches(assembler.push(chunk), since);
  yield* inBatches(assembler.flush(), since);
}

/** Any RFC 3339 UTC time in the form that LogLines use. Throws `invalid_request` for other text. */
export function normalizeTimestamp(text: string): string {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null || Number.isNaN(Date.parse(text))) {
    const detail = `Cannot read logs since "${text}": not a UTC time such as 2026-01-02T03:04:05.123456789Z`;
    throw new PlatformError("invalid_request", detail);
  }
  return `${match[1]}.${(match[2] ?? "").padEnd(9, "0")}Z`;
}

function* inBatches(lines: LogLine[], since: string | undefined): Generator<LogLine[]> {
  const wanted = since === undefined ? lines : lines.filter((line) => line.timestamp >= since);
  for (let at = 0; at < wanted.length; at += BATCH_LINES) yield wanted.slice(at, at + BATCH_LINES);
}

function readStamp(payload: Buffer): string {
  const stamp = payload.toString("latin1", 0, STAMP_LENGTH);
  // Its fixed places are proof enough, for every line of every container.
  if (stamp[10] === "T" && stamp.endsWith("Z") && payload[STAMP_LENGTH] === SPACE) return stamp;
  const detail = "Cannot read the container's output: a line bears no timestamp of nine decimals";
  throw new PlatformError("engine_failed", detail);
}

/** The last position not after `limit` that does not cut a UTF-8 character. */
function characterBoundary(bytes: Buffer, limit: number): number {
  let at = limit;
  while (at > limit - 4 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at--;
  return at > limit - 4 ? at : limit;
}
