import { expect, test } from "vitest";
import { median, slopeOf, spreadOf } from "./statistics.ts";

test("a median is the middle sample, whatever the order, or lies between the middle two", () => {
  expect(median([30, 10, 20])).toBe(20);
  expect(median([40, 10, 30, 20])).toBe(25);
});

test("percentiles lie between the samples next to them", () => {
  const hundredAndOne = Array.from({ length: 101 }, (_, index) => 100 - index);
  expect(spreadOf(hundredAndOne)).toEqual({ samples: 101, median: 50, p95: 95, p99: 99, min: 0, max: 100 });
  expect(spreadOf([0, 10]).p95).toBeCloseTo(9.5);
});

test("one sample is its own spread, and none is an error rather than a zero", () => {
  expect(spreadOf([7])).toEqual({ samples: 1, median: 7, p95: 7, p99: 7, min: 7, max: 7 });
  expect(() => spreadOf([])).toThrow(RangeError);
});

test("a slope is the growth from one sample to the next, by all samples and not by the ends alone", () => {
  expect(slopeOf([5, 7, 9, 11])).toBeCloseTo(2);
  expect(slopeOf([3, 3, 3])).toBe(0);
  expect(slopeOf([0, 10, 0, 10, 0])).toBeCloseTo(0);
  expect(slopeOf([42])).toBe(0);
});
