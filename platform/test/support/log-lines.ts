import type { AppLogLine, LogStore } from "../../store/logs/log-store.ts";

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

/** Appends lines that end with a number, counted from `first`, ten to an append. */
export async function appendNumbers(store: LogStore, id: string, first: number, count: number): Promise<void> {
  for (let start = first; start < first + count; start += 10) {
    const numbers = range(start, Math.min(start + 10, first + count));
    await store.append(
      id,
      numbers.map((number) => aLine(number, `line ${number}`)),
    );
  }
}

/** The numbers that lines end with. */
export function numbersOf(lines: string[] | null): number[] {
  return lines?.map((line) => Number(line.split(" ").at(-1))) ?? [];
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
