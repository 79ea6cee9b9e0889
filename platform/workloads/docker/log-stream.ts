import { PlatformError } from "../../kernel/errors.ts";
import type { LogLine } from "../workloads.ts";
import { createFrameParser, STDERR } from "./frames.ts";

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
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;

/** A line of which the engine has delivered only the beginning. */
type OpenLine = { stamp: string; parts: Buffer[]; size: number };

/** One of the container's two streams. `done` is the stamp of its last complete line. */
type Channel = { name: LogLine["stream"]; partial: OpenLine | null; done: string };

/** Turns chunks of a container's log, asked for with timestamps, into lines. */
export type LogAssembler = {
  /** The lines that this chunk, split anywhere, completes. */
  push(chunk: Buffer): LogLine[];
  /** What the log ends with: lines that have no line end. */
  flush(): LogLine[];
};

/**
 * A LogAssembler over the engine's format: each frame is a timestamp, a space and up to 16 KiB of one
 * line; only a line's last frame ends with a line end, and all of its frames bear one stamp. Within a
 * stream stamps ascend strictly, between the streams they do not. When the log file is rotated, the
 * engine gives a follower the first lines of the new file twice: a stamp that is not above its
 * stream's last one is such a repetition (all measured on 20.10).
 */
export function createLogAssembler(): LogAssembler {
  const stdout: Channel = { name: "stdout", partial: null, done: "" };
  const stderr: Channel = { name: "stderr", partial: null, done: "" };
  let lines: LogLine[] = [];

  function emit(channel: Channel, stamp: string, text: string): void {
    lines.push({ timestamp: stamp, stream: channel.name, text });
  }

  function finish(channel: Channel): void {
    const { partial } = channel;
    if (partial === null) return;
    channel.partial = null;
    channel.done = partial.stamp;
    const bytes = Buffer.concat(partial.parts, partial.size);
    emit(channel, partial.stamp, decodeLine(bytes, 0, bytes.length));
  }

  /** Whether the engine has delivered this before. Accepts a clock that was set back. */
  function isRepeated(channel: Channel, stamp: string): boolean {
    if (channel.partial !== null && stamp === channel.partial.stamp) return false;
    const last = channel.partial?.stamp ?? channel.done;
    if (stamp > last) return false;
    return stamp === last || Date.parse(last) - Date.parse(stamp) <= MAX_REPLAY_MS;
  }

  function append(channel: Channel, stamp: string, bytes: Buffer, start: number, end: number): void {
    // A copy: the bytes are a view into a whole chunk.
    const piece = Buffer.from(bytes.subarray(start, end));
    channel.partial ??= { stamp, parts: [], size: 0 };
    channel.partial.parts.push(piece);
    channel.partial.size += piece.length;
    while (channel.partial.size > MAX_LINE_BYTES) {
      const whole = Buffer.concat(channel.partial.parts, channel.partial.size);
      const cut = characterBoundary(whole, MAX_LINE_BYTES);
      lines.push({ timestamp: stamp, stream: channel.name, text: whole.toString("utf8", 0, cut), continued: true });
      const rest = Buffer.from(whole.subarray(cut));
      channel.partial = { stamp, parts: [rest], size: rest.length };
    }
  }

  function acceptFrame(kind: number, bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    const channel = kind === STDERR ? stderr : stdout;
    const stamp = readStamp(bytes, start, end);
    if (isRepeated(channel, stamp)) return;
    // Cut off without a line end by the container's exit; what follows is another run's.
    if (channel.partial !== null && channel.partial.stamp !== stamp) finish(channel);

    const textStart = start + STAMP_LENGTH + 1;
    const complete = bytes[end - 1] === LF;
    const textEnd = complete ? end - 1 : end;
    if (channel.partial === null && complete && textEnd - textStart <= MAX_LINE_BYTES) {
      channel.done = stamp;
      emit(channel, stamp, decodeLine(bytes, textStart, textEnd));
      return;
    }
    append(channel, stamp, bytes, textStart, textEnd);
    if (complete) finish(channel);
  }

  const parse = createFrameParser(acceptFrame);
  const takeLines = (): LogLine[] => {
    const taken = lines;
    lines = [];
    return taken;
  };

  return {
    push(chunk) {
      parse(chunk);
      return takeLines();
    },
    flush() {
      finish(stdout);
      finish(stderr);
      return takeLines();
    },
  };
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
    throw new PlatformError(
      "invalid_request",
      `Cannot read logs since "${text}": not a UTC time such as 2026-01-02T03:04:05.123456789Z`,
    );
  }
  return `${match[1]}.${(match[2] ?? "").padEnd(9, "0")}Z`;
}

function* inBatches(lines: LogLine[], since: string | undefined): Generator<LogLine[]> {
  const wanted = since === undefined ? lines : lines.filter((line) => line.timestamp >= since);
  for (let at = 0; at < wanted.length; at += BATCH_LINES) yield wanted.slice(at, at + BATCH_LINES);
}

function readStamp(bytes: Buffer, start: number, end: number): string {
  const space = start + STAMP_LENGTH;
  // Its fixed places are proof enough, for every line of every container.
  const isStamp =
    space < end && bytes[space] === SPACE && bytes[space - 1] === LETTER_Z && bytes[start + 10] === LETTER_T;
  if (isStamp) return bytes.toString("latin1", start, space);
  throw new PlatformError(
    "engine_failed",
    "Cannot read the container's output: a line bears no timestamp of nine decimals",
  );
}

function decodeLine(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("utf8", start, end > start && bytes[end - 1] === CR ? end - 1 : end);
}

/** The last position not after `limit` that does not cut a UTF-8 character. */
function characterBoundary(bytes: Buffer, limit: number): number {
  let at = limit;
  while (at > limit - 4 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at--;
  return at > limit - 4 ? at : limit;
}
