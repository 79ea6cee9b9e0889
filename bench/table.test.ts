import { expect, test } from "vitest";
import { atLeast, atMost, ratioLine, type Line } from "./line.ts";
import { spreadOf } from "./statistics.ts";
import { renderNumber, renderTable } from "./table.ts";

const CREATE = ratioLine({
  row: "create",
  what: "one",
  unit: "ms",
  baseline: spreadOf([500]),
  platform: spreadOf([600, 700]),
  goal: atMost(1),
});

function cells(line: Line): string[] {
  const text = renderTable([line]).split("\n").at(-1) ?? "";
  return text
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

test("a line shows both sides, the ratio of their medians, and whether that reaches the goal", () => {
  expect(cells(CREATE)).toEqual(["create", "one", "500 ms", "650 (695) ms", "1.30 ×", "≤ 1 ×", "no"]);
  expect(cells({ ...CREATE, figure: 1 }).at(-1)).toBe("yes");
});

test("a line can have a least figure for its goal", () => {
  expect(cells({ ...CREATE, figure: 0.4, goal: atLeast(0.5) }).slice(-2)).toEqual(["≥ 0.50 ×", "no"]);
  expect(cells({ ...CREATE, figure: 0.5, goal: atLeast(0.5) }).at(-1)).toBe("yes");
});

test("the cells of a missing side and of a missing goal are empty", () => {
  const line: Line = { ...CREATE, baseline: null, figure: 12.34, figureUnit: "ms", goal: null };
  expect(cells(line)).toEqual(["create", "one", "", "650 (695) ms", "12.3 ms", "", ""]);
});

test("all lines of the table are equally wide", () => {
  const widths = renderTable([CREATE, { ...CREATE, what: "fifty at once" }])
    .split("\n")
    .map(({ length }) => length);
  expect(new Set(widths).size).toBe(1);
});

test("renderNumber keeps three digits and does not round small numbers to nothing", () => {
  expect([1234.5, 56.78, 1.234, 0.0456, -0.5, 200].map(renderNumber)).toEqual([
    "1235",
    "56.8",
    "1.23",
    "0.046",
    "-0.50",
    "200",
  ]);
});
