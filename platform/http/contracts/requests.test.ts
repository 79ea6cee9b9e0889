import { expect, test } from "vitest";
import { parseSince } from "./requests.ts";

const NOW = Date.UTC(2030, 0, 1, 12);

test.each([
  ["90s", NOW - 90_000],
  ["10m", NOW - 600_000],
  ["2h", NOW - 7_200_000],
  ["1d", NOW - 86_400_000],
  ["2030-01-01T11:00:00Z", NOW - 3_600_000],
  ["2030-01-01T12:00:00+01:00", NOW - 3_600_000],
  ["yesterday", null],
  ["10", null],
  ["", null],
])("since=%s", (text, expected) => {
  expect(parseSince(text, NOW)).toBe(expected);
});
