import type { Context } from "./context.ts";

const LINES = 20;
const WAIT_MS = 2_000;

/** The last lines a container wrote, straight from the engine; none when it cannot tell. */
export async function lastLogLines(
  { engine, logger }: Pick<Context, "engine" | "logger">,
  container: string,
): Promise<string[]> {
  const lines: string[] = [];
  try {
    const options = { tail: LINES, follow: false, signal: AbortSignal.timeout(WAIT_MS) };
    for await (const batch of engine.containers.logs(container, options)) lines.push(...batch.map((line) => line.text));
  } catch (error) {
    logger.debug({ err: error, container }, "no last log lines");
  }
  return lines.slice(-LINES);
}
