import { defineConfig } from "vitest/config";

const INTEGRATION = "platform/**/*.integration.test.ts";

/** They load the machine on purpose, or measure it: nothing runs beside them, and they beside nothing. */
const HEAVY = ["crash", "in-flight", "limits", "load", "log-shipping", "memory"].map(
  (name) => `platform/test/integration/${name}.integration.test.ts`,
);

// Most of an integration test is waiting for the engine, for a reload, for a schedule: two at a time use two cores well.
const onRealEngine = { testTimeout: 120_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{platform,bench,socket-proxy}/**/*.test.ts"],
          exclude: [INTEGRATION],
          testTimeout: 60_000,
          maxWorkers: 2,
          // Loading the same modules anew for each file takes as long as the tests themselves, which share no state.
          isolate: false,
        },
      },
      {
        test: {
          ...onRealEngine,
          name: "integration",
          include: [INTEGRATION],
          exclude: HEAVY,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: { ...onRealEngine, name: "heavy", include: HEAVY, fileParallelism: false, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
