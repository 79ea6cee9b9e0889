import { PlatformError } from "../../kernel/errors.ts";

/** The engine's messages are a few hundred bytes; a "line" beyond this is no message. */
const MAX_LINE_BYTES = 1024 * 1024;

const LF = 0x0a;

/**
 * The JSON values of a stream that holds one a line, as the engine reports progress and events.
 * Decodes whole lines only, so that no character is cut. Throws `engine_failed` for a line that is
 * not JSON or has no end; leaving the loop early destroys a stream given as `source`.
 */
export async function* readJsonLines(source: AsyncIterable<Buffer>): AsyncGenerator<unknown, void, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]).toString("utf8");
      parts = [];
      size = 0;
      start = end + 1;
      if (line.trim() !== "") yield parse(line);
    }
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > MAX_LINE_BYTES)
      throw new PlatformError("engine_failed", "Cannot read the engine's answer: a line of it has no end");
  }
  const line = Buffer.concat(parts).toString("utf8");
  if (line.trim() !== "") yield parse(line);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new PlatformError("engine_failed", `Cannot read the engine's answer: not JSON: ${line.slice(0, 200)}`, {
      cause,
    });
  }
}
