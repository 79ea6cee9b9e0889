import type { AppLogLine } from "../../store/store.ts";

/** A line of second `second` (fractions allowed) of a fixed day. */
export function aLine(second: number, text: string, changes: Partial<AppLogLine> = {}): AppLogLine {
  const stamp = new Date(Date.UTC(2030, 0, 1) + second * 1000).toISOString().replace("Z", "000000Z");
  return { timestamp: stamp, service: "app", stream: "stdout", text, ...changes };
}

/** Reads a following stream in the background; `ended` resolves when it ends by itself. */
export function collect(lines: AsyncIterable<string>): { seen: string[]; ended: Promise<void> } {
  const seen: string[] = [];
  const ended = (async () => {
    for await (const line of lines) seen.push(line);
  })();
  return { seen, ended };
}

/** Everything a stream that ends by itself gives. */
export async function collectAll(lines: AsyncIterable<string>): Promise<string[]> {
  const { seen, ended } = collect(lines);
  await ended;
  return seen;
}

/** What containers wrote, without timestamp, service and stream. */
export function textsOf(lines: string[] | null): string[] | undefined {
  return lines?.map((line) => line.split(" ").slice(3).join(" "));
}
