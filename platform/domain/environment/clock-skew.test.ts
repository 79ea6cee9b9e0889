import { expect, test } from "vitest";
import { wasSetBackSince } from "./clock-skew.ts";

test("the clock was set back where it is behind what it said by more than keeping it right takes", () => {
  const now = Date.parse("2030-01-01T12:00:00Z");
  expect(wasSetBackSince([], now)).toBe(false);
  expect(wasSetBackSince(["2030-01-01T11:00:00.000000001Z", "2030-01-01T12:00:04.999999999Z"], now)).toBe(false);
  expect(wasSetBackSince(["2030-01-01T11:00:00.000000001Z", "2030-01-01T12:00:06.000000000Z"], now)).toBe(true);
});
