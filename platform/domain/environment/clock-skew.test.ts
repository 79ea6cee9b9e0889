import { expect, test } from "vitest";
import { wasClockSetBackSince } from "./clock-skew.ts";

test("the clock was set back where it is behind what it said by more than keeping it right takes", () => {
  const now = Date.parse("2030-01-01T12:00:00Z");
  expect(wasClockSetBackSince([], now)).toBe(false);
  expect(wasClockSetBackSince(["2030-01-01T11:00:00.000000001Z", "2030-01-01T12:00:04.999999999Z"], now)).toBe(false);
  expect(wasClockSetBackSince(["2030-01-01T11:00:00.000000001Z", "2030-01-01T12:00:06.000000000Z"], now)).toBe(true);
});
