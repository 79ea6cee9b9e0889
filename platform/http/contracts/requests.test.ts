import { describe, expect, test } from "vitest";
import { resolveSpec } from "../../domain/environment/spec.ts";
import type { PlatformError } from "../../kernel/errors.ts";
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

const schema = createEnvironmentSchema({ maxTtl: 100, maxCpus: 1, maxMemoryMb: 100 });

test("every field of POST /envs is one of the resolved spec, and the other way round", () => {
  const defaultResources = { memory_mb: 1, cpus: 1, pids: 1 };
  const spec = resolveSpec(parseInput(schema, {}, "request body"), {
    defaultImage: "demo:latest",
    defaultTtl: 60,
    maxTtl: 60,
    defaultResources,
  });
  expect(Object.keys(schema.shape).toSorted()).toEqual(Object.keys(spec).toSorted());
});

test("a reserved variable's refusal says why", () => {
  expect(() => parseInput(schema, { env: { ENV_ID: "x" } }, "request body")).toThrow(
    "env.ENV_ID: is set by the platform",
  );
});

describe("a body with too much in it", () => {
  const many = (count: number, value: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index}`, value]));
  const refusal = (body: unknown): PlatformError => {
    try {
      parseInput(schema, body, "request body");
    } catch (error) {
      return error as PlatformError;
    }
    throw new Error("it was accepted");
  };

  test.each([
    [{ env: many(30_000, 0) }, "env", "must hold at most 100 variables"],
    [{ secrets: many(101, "a secret") }, "secrets", "must hold at most 100 secrets"],
    [{ secrets: many(101, false) }, "secrets", "must hold at most 100 secrets"],
    [{ command: Array.from({ length: 30_000 }, () => 0) }, "command", "must hold at most 128 arguments"],
    [{ secrets: { A: "a line\n".repeat(100) } }, "secrets", "must hold at most 100 lines in all, and hold 101"],
  ])("is told so once, and not what else is wrong", (body, path, message) => {
    expect(refusal(body).errors).toEqual([{ path, message }]);
  });

  test("is told of the first twenty fields that are wrong, and how many more there are", () => {
    const { errors, message } = refusal({ env: many(100, 0) });
    expect(errors).toHaveLength(20);
    expect(message).toMatch(/; and 80 more$/);
  });

  test("is not sent back", () => {
    for (const body of [many(20_000, 0), { env: { ["-".repeat(200_000)]: "x" } }]) {
      const { errors, message } = refusal(body);
      expect(JSON.stringify({ errors, message }).length).toBeLessThan(2_000);
    }
  });
});

test("a container may ask for 4,096 processes and no more", () => {
  const takes = (pids: number) => schema.safeParse({ resources: { pids } }).success;
  expect([takes(4_096), takes(4_097)]).toEqual([true, false]);
});
