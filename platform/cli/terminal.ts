// Output for a person: tables, times, a progress line.
import { stripVTControlCharacters } from "node:util";

/** Strips control sequences (colours, titles, cursor movements) from an application's text. Tabs and line ends stay. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\P{Cc}\t\n]/gu, "");
}

/** Prints rows under a header, each column as wide as its widest cell. */
export function printTable(header: string[], rows: string[][]): void {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  for (const row of [header, ...rows]) {
    const cells = row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)));
    console.log(printable(cells.join("   ")));
  }
}

/** 59 → "59s", 3599 → "59m 59s", 7200 → "2h 0m". */
export function formatSeconds(total: number): string {
  const whole = Math.max(0, Math.round(total));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
}

/**
 * Runs work under a progress line on stderr, since stdout is for results. On a terminal the line counts the seconds and
 * is removed at the end; elsewhere it is printed once.
 */
export async function withProgress<T>(text: string, work: () => Promise<T>): Promise<{ result: T; took: string }> {
  const started = performance.now();
  const took = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (!process.stderr.isTTY) {
    console.error(`${text} …`);
    return { result: await work(), took: took() };
  }
  const draw = () => process.stderr.write(`\r${text} … ${took()}`);
  const timer = setInterval(draw, 100);
  draw();
  try {
    return { result: await work(), took: took() };
  } finally {
    clearInterval(timer);
    process.stderr.write("\r\x1b[K");
  }
}
