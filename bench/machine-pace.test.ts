import { expect, test } from "vitest";
import { isClearOf, machineNow, percentOf, slowSpans, watchPace, type PaceSample } from "./machine-pace.ts";

const at = (...costs: number[]): PaceSample[] => costs.map((cost, index) => [index * 4, cost]);

test("a span is slow from the sample before the first slow one to the last slow one", () => {
  expect(slowSpans(at(50, 52, 600, 800, 200, 51, 49, 700, 50, 50, 50))).toEqual([
    { from: 4, to: 16 },
    { from: 24, to: 28 },
  ]);
});

test("twice the usual cost is a neighbour's doing, and no samples are no spans", () => {
  expect(slowSpans(at(50, 100, 110, 50, 50))).toEqual([]);
  expect(slowSpans([])).toEqual([]);
});

test("a sample that is missing before a slow one does not make the span longer than two pauses", () => {
  expect(
    slowSpans([
      [0, 50],
      [4, 50],
      [300, 900],
      [304, 50],
      [308, 50],
    ]),
  ).toEqual([{ from: 292, to: 300 }]);
});

test("a request is clear of a slow span that ended before it was due or began after its answer", () => {
  const spans = [{ from: 100, to: 150 }];
  expect([isClearOf(spans, 80, 10), isClearOf(spans, 151, 5)]).toEqual([true, true]);
  expect([isClearOf(spans, 80, 25), isClearOf(spans, 120, 1), isClearOf(spans, 90, 90)]).toEqual([false, false, false]);
});

test("what spans take of a time is told in percent", () => {
  expect(
    percentOf(
      [
        { from: 0, to: 30 },
        { from: 50, to: 70 },
      ],
      1000,
    ),
  ).toBe(5);
});

test("spans of a machine that is watched are within the time it was watched", async () => {
  const from = machineNow();
  const pace = await watchPace();
  const spans = await pace.stop();
  expect(spans.every((span) => span.from >= from && span.to <= machineNow() && span.from < span.to)).toBe(true);
});
