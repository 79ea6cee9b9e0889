import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["platform/**/*.test.ts"], exclude: ["**/*.integration.test.ts"], testTimeout: 10_000 } },
      {
        test: {
          name: "integration",
          include: ["platform/**/*.integration.test.ts"],
          // Two cores and one engine: a file at a time keeps one test's load out of another's timing.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
