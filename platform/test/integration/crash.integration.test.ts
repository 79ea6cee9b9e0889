import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEP_KINDS } from "../../domain/plan/step.ts";
import { createCrashLane, type CrashLane } from "../support/crash-lane.ts";
import { findFailpoints } from "../support/crash-scenarios.ts";

/** Platforms that die side by side: one alone leaves the machine idle half of the time. */
const LANES = 2;
/** Runs that may be begun or done before their tests are, so that no lane waits for a slow one. */
const AHEAD = 6;

const cases = await findFailpoints();

test("the scenarios pass every kind of step", () => {
  const passed = new Set(cases.flatMap(({ failpoints }) => failpoints.map((name) => name.replace(/^.*:|#.*$/g, ""))));
  for (const kind of STEP_KINDS) expect(passed).toContain(kind);
});

describe("the API, killed at a failpoint, leaves every environment whole or gone after", () => {
  const lanes: CrashLane[] = [];
  const idle: CrashLane[] = [];
  const runs = cases.flatMap(({ scenario, failpoints }) => failpoints.map((failpoint) => ({ scenario, failpoint })));
  const outcomes = new Map<object, Promise<void>>();

  let asked = 0;

  /** Begins the run whose test is waiting, and those that come next, as long as there are lanes. */
  function begin(): void {
    for (const run of runs.slice(asked, asked + AHEAD)) {
      if (outcomes.has(run)) continue;
      const lane = idle.pop();
      if (lane === undefined) return;
      const outcome = lane.run(run.scenario, run.failpoint).finally(() => {
        idle.push(lane);
        begin();
      });
      outcome.catch(() => {}); // told by its test
      outcomes.set(run, outcome);
    }
  }

  beforeAll(async () => {
    for (let count = 0; count < LANES; count++) lanes.push(await createCrashLane());
    idle.push(...lanes);
  });

  afterAll(async () => {
    asked = runs.length;
    await Promise.allSettled(outcomes.values());
    for (const lane of lanes) await lane.remove();
  });

  runs.forEach((run, index) => {
    test(`${run.scenario.name}: ${run.failpoint}`, async () => {
      asked = index;
      begin();
      const outcome = outcomes.get(run);
      expect(outcome, "a lane was free").toBeDefined();
      await outcome;
    });
  });
});
