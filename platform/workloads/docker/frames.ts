import { PlatformError } from "../../kernel/errors.ts";

const HEADER_BYTES = 8;

/** Engines write at most 16 KiB of text a frame (log plugins 1 MiB); more means that these are no frames. */
const MAX_FRAME_BYTES = 2 * 1024 * 1024;

/** Kinds of frame, by the header's first byte; stdout is 1. */
export const STDERR = 2;
/** The engine's own message about a failure to read. */
const SYSTEM_ERROR = 3;

/** Receives one frame's payload: `bytes` from `start` to `end`, valid during the call only. */
export type FrameHandler = (kind: number, bytes: Buffer, start: number, end: number) => void;

/**
 * Takes apart the engine's multiplexed streams (container logs, exec output): frames of an 8-byte
 * header — kind, three zeros, payload length — and the payload. Give the returned function the chunks
 * as they come, split anywhere. Loops over a chunk without copying, and holds at most the one frame
 * that a chunk's end cut. Throws `engine_failed` for what is no such stream, or says it failed.
 */
export function createFrameParser(onFrame: FrameHandler): (chunk: Buffer) => void {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerFilled = 0;
  let cut: { kind: number; payload: Buffer; filled: number } | null = null;

  function deliver(kind: number, bytes: Buffer, start: number, end: number): void {
    if (kind !== SYSTEM_ERROR) return onFrame(kind, bytes, start, end);
    const words = bytes.toString("utf8", start, end).trim();
    throw new PlatformError("engine_failed", `Cannot read the container's output: ${words}`);
  }

  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (cut !== null) {
        const taken = chunk.copy(cut.payload, cut.filled, at);
        at += taken;
        cut.filled += taken;
        if (cut.filled < cut.payload.length) return;
        const { kind, payload } = cut;
        cut = null;
        deliver(kind, payload, 0, payload.length);
        continue;
      }
      const taken = chunk.copy(header, headerFilled, at);
      at += taken;
      headerFilled += taken;
      if (headerFilled < HEADER_BYTES) return;
      headerFilled = 0;
      const kind = header[0] ?? 0;
      const length = header.readUInt32BE(4);
      assertFrame(header, length);
      if (length <= chunk.length - at) {
        deliver(kind, chunk, at, at + length);
        at += length;
      } else {
        cut = { kind, payload: Buffer.allocUnsafe(length), filled: 0 };
      }
    }
  };
}

function assertFrame(header: Buffer, length: number): void {
  const isFrame = (header[0] ?? 0) <= SYSTEM_ERROR && header[1] === 0 && header[2] === 0 && header[3] === 0;
  if (isFrame && length <= MAX_FRAME_BYTES) return;
  throw new PlatformError(
    "engine_failed",
    "Cannot read the engine's output stream: it is not multiplexed; was the container created with a terminal?",
  );
}
