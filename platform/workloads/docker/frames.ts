import { PlatformError } from "../../kernel/errors.ts";

const HEADER_BYTES = 8;

/** Engines write at most 16 KiB of text a frame (log plugins 1 MiB); more means that these are no frames. */
const MAX_FRAME_BYTES = 2 * 1024 * 1024;

/** Kinds of frame, by the header's first byte; stdout is 1. */
export const STDERR = 2;
/** The engine's own message about a failure to read. */
const SYSTEM_ERROR = 3;

/**
 * Takes apart the engine's multiplexed streams (container logs, exec output): frames of an 8-byte header (kind, three
 * zeros, payload length) and the payload, which is valid during the call only. Give the returned function the chunks
 * as they come, split anywhere; it holds at most one frame. Throws `engine_failed` for another kind of stream, and for
 * one that tells of a failure.
 */
export function createFrameParser(onFrame: (kind: number, payload: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + payloadLength(bytes);
      if (bytes.length < end) break;
      const kind = bytes[0] ?? 0;
      const payload = bytes.subarray(HEADER_BYTES, end);
      if (kind === SYSTEM_ERROR) throw unreadable("container's output", payload.toString("utf8").trim());
      onFrame(kind, payload);
      bytes = bytes.subarray(end);
    }
    rest = bytes;
  };
}

function payloadLength(header: Buffer): number {
  const length = header.readUInt32BE(4);
  const isFrame = (header[0] ?? 0) <= SYSTEM_ERROR && header[1] === 0 && header[2] === 0 && header[3] === 0;
  if (isFrame && length <= MAX_FRAME_BYTES) return length;
  throw unreadable("engine's output stream", "it is not multiplexed; was the container created with a terminal?");
}

function unreadable(stream: string, reason: string): PlatformError {
  return new PlatformError("engine_failed", `Cannot read the ${stream}: ${reason}`);
}
