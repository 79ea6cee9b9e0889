import { isReached, type Line } from "./line.ts";
import type { Spread } from "./statistics.ts";

const HEAD = ["row", "what", "baseline, median (p95)", "platform, median (p95)", "figure", "goal", ""];

/** The lines as a Markdown table, which reads well in a terminal too. */
export function renderTable(lines: readonly Line[]): string {
  const rows = [HEAD, ...lines.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const render = (row: string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [head = "", ...body] = rows.map(render);
  return [head, render(widths.map((width) => "-".repeat(width))), ...body].join("\n");
}

function cellsOf(line: Line): string[] {
  const { row, what, baseline, platform, unit, figure, figureUnit, goal } = line;
  const sign = goal?.at === "most" ? "≤" : "≥";
  const reached = isReached(line);
  return [
    row,
    what,
    renderSpread(baseline, unit),
    renderSpread(platform, unit),
    withUnit(figure, figureUnit),
    goal === null ? "" : `${sign} ${withUnit(goal.limit, figureUnit)}`,
    reached === null ? "" : reached ? "yes" : "no",
  ];
}

function renderSpread(spread: Spread | null, unit: string): string {
  if (spread === null) return "";
  const middle = renderNumber(spread.median);
  return spread.samples === 1 ? `${middle} ${unit}` : `${middle} (${renderNumber(spread.p95)}) ${unit}`;
}

function withUnit(value: number, unit: string): string {
  return unit === "" ? renderNumber(value) : `${renderNumber(value)} ${unit}`;
}

/** Keeps three significant digits; whole numbers stay as they are. */
export function renderNumber(value: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return String(value);
  if (size >= 100) return value.toFixed(0);
  return size >= 10 ? value.toFixed(1) : size >= 0.1 ? value.toFixed(2) : value.toFixed(3);
}
