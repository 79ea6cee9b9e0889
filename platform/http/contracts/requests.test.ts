import { expect, test } from "vitest";
import { resolveSpec } from "../../domain/environment/spec.ts";
import type { PlatformError } from "../../kernel/errors.ts";
import { createEnvironmentSchema } from "./create-environment.ts";
import { parseInput } from "./parse.ts";
import { logQuerySchema } from "./requests.ts";

const NOW = Date.UTC(2030, 0, 1, 12);
const schema = createEnvironmentSchema({ maxTtl: 100, maxCpus: 1, maxMemoryMb: 100 });

test.each([
  ["90s", NOW - 90_000],
  ["10m", NOW - 600_000],
  ["2h", NOW - 7_200_000],
  ["1d", NOW - 86_400_000],
  ["2030-01-01T11:00:00Z", NOW - 3_600_000],
  ["2030-01-01T12:00:00+01:00", NOW - 3_600_000],
  ["yesterday", undefined],
  ["10", undefined],
  ["", undefined],
])("since=%s is %j", (since, expected) => {
  expect(logQuerySchema(NOW).safeParse({ since }).data?.since).toBe(expected);
});

test.each(["", "-1", "0x10", "1e1", "1.5", "10001", " 1"])("lines=%j is refused", (lines) => {
  expect(logQuerySchema(NOW).safeParse({ lines }).success).toBe(false);
});

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

test("a body with a reserved variable is refused with the reason", () => {
  expect(() => parseInput(schema, { env: { ENV_ID: "x" } }, "request body")).toThrow(
    "env.ENV_ID: is set by the platform",
  );
});

test.each([
  ["env", "must hold at most 100 variables", many(30_000, 0)],
  ["secrets", "must hold at most 100 secrets", many(101, "a secret")],
  ["secrets", "must hold at most 100 secrets", many(101, false)],
  ["secrets", "must hold at most 100 lines in all, and hold 101", { A: "a line\n".repeat(100) }],
  ["command", "must hold at most 128 arguments", Array.from({ length: 30_000 }, () => 0)],
])("a body with too much in %s is refused with one error: it %s", (path, message, value) => {
  expect(refusal({ [path]: value }).errors).toEqual([{ path, message }]);
});

test("a body with a hundred bad fields is refused with the first twenty and the number of the others", () => {
  const { errors, message } = refusal({ env: many(100, 0) });
  expect(errors).toHaveLength(20);
  expect(message).toMatch(/; and 80 more$/);
});

test("a refusal does not send the body back", () => {
  for (const body of [many(20_000, 0), { env: { ["-".repeat(200_000)]: "x" } }]) {
    const { errors, message } = refusal(body);
    expect(JSON.stringify({ errors, message }).length).toBeLessThan(2_000);
  }
});

test.each([
  [4_096, true],
  [4_097, false],
])("whether a container may ask for %i processes: %s", (pids, isAccepted) => {
  expect(schema.safeParse({ resources: { pids } }).success).toBe(isAccepted);
});

function many(count: number, value: unknown): object {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index}`, value]));
}

function refusal(body: unknown): PlatformError {
  try {
    parseInput(schema, body, "request body");
  } catch (error) {
    return error as PlatformError;
  }
  throw new Error("the body was accepted");
}
