import { expect, test } from "vitest";
import { createEnvironmentSchema } from "./create-environment.ts";
import { parseInput } from "./parse.ts";
import { LogQuerySchema, parseSince } from "./requests.ts";

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

test.each(["", "-1", "0x10", "1e1", "1.5", "10001", " 1"])("lines=%j is refused", (lines) => {
  expect(LogQuerySchema.safeParse({ lines }).success).toBe(false);
});

test("a reserved variable's refusal says why", () => {
  const schema = createEnvironmentSchema({ maxTtl: 100, maxCpus: 1, maxMemoryMb: 100 });
  expect(() => parseInput(schema, { env: { ENV_ID: "x" } }, "request body")).toThrow(
    "env.ENV_ID: is set by the platform",
  );
});
