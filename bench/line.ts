import type { Spread } from "./statistics.ts";

/** One line of the table: what was measured on both sides and what that comes to. */
export type Line = {
  /** The row it belongs to, as BENCH_ONLY names it. */
  row: string;
  what: string;
  /** Of both sides' numbers. */
  unit: string;
  bare: Spread | null;
  platform: Spread | null;
  /** What the goal is about: for most lines platform over bare, of their medians. */
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
  line: Pick<Line, "row" | "what" | "unit" | "goal"> & { bare: Spread; platform: Spread },
): Line {
  return { ...line, figure: line.platform.median / line.bare.median, figureUnit: "×" };
}

/** Whether a line reached its goal; null where it has none. */
export function isReached({ figure, goal }: Line): boolean | null {
  if (goal === null) return null;
  return goal.at === "most" ? figure <= goal.limit : figure >= goal.limit;
}
