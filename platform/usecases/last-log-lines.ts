import type { Context } from "./context.ts";

const LINES = 20;
const WAIT_MS = 2_000;

/**
 * The last lines a container wrote, straight from the engine; none when it cannot tell. A line that came in
 * pieces is whole again, so that what hides secrets in a text finds them.
 */
export async function lastLogLines(
  { engine, logger }: Pick<Context, "engine" | "logger">,
  container: string,
): Promise<string[]> {
  const lines: string[] = [];
  const begun = { stdout: "", stderr: "" };
  try {
    const options = { tail: LINES, follow: false, signal: AbortSignal.timeout(WAIT_MS) };
    for await (const batch of engine.containers.logs(container, options)) {
      for (const { stream, text, continued } of batch) {
        begun[stream] += text;
        if (continued === true) continue;
        lines.push(begun[stream]);
        begun[stream] = "";
      }
    }
  } catch (error) {
    logger.debug({ err: error, container }, "no last log lines");
  }
  return lines.slice(-LINES);
}
