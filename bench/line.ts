import type { Spread } from "./statistics.ts";

/** One line of the table: both sides' numbers, and the figure that the goal is about. */
export type Line = {
  /** The row it belongs to, as BENCH_ONLY names it. */
  row: string;
  what: string;
  /** The unit of both sides' numbers. */
  unit: string;
  /** The bare engine's numbers, unless the line says otherwise. */
  baseline: Spread | null;
  platform: Spread | null;
  figure: number;
  /** "×" for a ratio. */
  figureUnit: string;
  /** Null for a line that only explains another. */
  goal: Goal | null;
};

export type Goal = { at: "most" | "least"; limit: number };

export const atMost = (limit: number): Goal => ({ at: "most", limit });
export const atLeast = (limit: number): Goal => ({ at: "least", limit });

/** A line whose figure is the ratio of the medians. */
export function ratioLine(
  line: Pick<Line, "row" | "what" | "unit" | "goal"> & { baseline: Spread; platform: Spread },
): Line {
  return { ...line, figure: line.platform.median / line.baseline.median, figureUnit: "×" };
}

/** Whether a line reached its goal; null where it has none. */
export function isReached({ figure, goal }: Line): boolean | null {
  if (goal === null) return null;
  return goal.at === "most" ? figure <= goal.limit : figure >= goal.limit;
}
