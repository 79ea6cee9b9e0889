import { expect, test } from "vitest";
import type { Status } from "./environment/record.ts";
import { judgeHealth } from "./health-rule.ts";

/** Runs checks (true: passed) through the rule and tells each status on the way. */
function statuses(from: Status, checks: boolean[]): Status[] {
  let state = { status: from, failures: 0 };
  return checks.map((ok) => {
    state = judgeHealth(state.status, state.failures, ok);
    return state.status;
  });
}

test("three consecutive failures degrade, two do not", () => {
  expect(statuses("running", [false, false, false])).toEqual(["running", "running", "degraded"]);
});

test("a success in between starts the count anew", () => {
  expect(statuses("running", [false, false, true, false, false])).toEqual(Array(5).fill("running"));
});

test("the next success restores a degraded environment", () => {
  expect(statuses("degraded", [false, true])).toEqual(["degraded", "running"]);
});

test("an environment on its way up or down keeps its status", () => {
  expect(statuses("creating", [false, false, false])).toEqual(Array(3).fill("creating"));
  expect(statuses("destroying", [true, false, false, false])).toEqual(Array(4).fill("destroying"));
});
