import { PlatformError } from "../../kernel/errors.ts";

/** The engine's messages are a few hundred characters; a "line" beyond this is no message. */
const MAX_LINE_LENGTH = 1024 * 1024;

/**
 * The JSON values of a stream that holds one a line, as the engine reports progress and events. Throws `engine_failed`
 * for a line that is not JSON or has no end; leaving the loop early destroys a stream given as `source`.
 */
export async function* readJsonLines(source: AsyncIterable<Buffer>): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of source) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_LENGTH) throw unreadable("a line has no end");
    for (const line of lines) if (line.trim() !== "") yield parse(line);
  }
  if (rest.trim() !== "") yield parse(rest);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw unreadable(`not JSON: ${line.slice(0, 200)}`, cause);
  }
}

function unreadable(reason: string, cause?: unknown): PlatformError {
  return new PlatformError("engine_failed", `Cannot read the engine's answer: ${reason}`, { cause });
}
