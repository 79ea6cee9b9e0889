import { expect, test } from "vitest";
import { median, spreadOf } from "./statistics.ts";

test("median is the middle sample in any order, or the mean of the middle two", () => {
  expect(median([30, 10, 20])).toBe(20);
  expect(median([40, 10, 30, 20])).toBe(25);
});

test("spreadOf interpolates percentiles between neighbouring samples", () => {
  const hundredAndOne = Array.from({ length: 101 }, (_, index) => 100 - index);
  expect(spreadOf(hundredAndOne)).toEqual({ samples: 101, median: 50, p95: 95, p99: 99, min: 0, max: 100 });
  expect(spreadOf([0, 10]).p95).toBeCloseTo(9.5);
});

test("spreadOf gives one sample as its own spread, and throws without samples", () => {
  expect(spreadOf([7])).toEqual({ samples: 1, median: 7, p95: 7, p99: 7, min: 7, max: 7 });
  expect(() => spreadOf([])).toThrow(RangeError);
});
