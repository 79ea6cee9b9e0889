import { expect, test } from "vitest";
import { loadConfig } from "../config.ts";
import { quotaOf, thisMachine } from "./machine.ts";

const MACHINE = { memoryMb: 10_000, cpus: 2, pids: 32_768 };

test("the quota is a share of the machine where a setting is empty", () => {
  expect(quotaOf(loadConfig({}), MACHINE)).toEqual({
    environments: 200,
    environmentsPerOwner: 20,
    memoryMb: 9_000,
    cpus: 200,
    pids: 26_214,
  });
});

test("the quota is the setting where it is a number, 0 for no limit", () => {
  const config = loadConfig({ MAX_MEMORY_MB: "64000", MAX_CPUS: "0", MAX_PIDS: "0", MAX_ENVS: "7" });
  expect(quotaOf(config, MACHINE)).toMatchObject({ environments: 7, memoryMb: 64_000, cpus: 0, pids: 0 });
});

test("this machine has memory, cores and processes", () => {
  const { memoryMb, cpus, pids } = thisMachine();
  expect(Math.min(memoryMb, cpus, pids)).toBeGreaterThan(0);
});
