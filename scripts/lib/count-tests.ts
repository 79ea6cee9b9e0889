// Prints "N passed, N failed[, N skipped]" from vitest's JSON report, and exits 1 unless all is well.
// Usage: count-tests.ts REPORT VITEST_EXIT_STATUS
import { readFileSync } from "node:fs";

type Report = {
  testResults: { status: string; assertionResults: { status: string }[] }[];
};

function readReport(path: string): Report {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch {
    // Vitest died before it wrote a report: its status below counts as a failure.
    return { testResults: [] };
  }
}

const [path = "", vitestStatus = "1"] = process.argv.slice(2);
const files = readReport(path).testResults;
const tests = files.flatMap((file) => file.assertionResults);
const passed = tests.filter((test) => test.status === "passed").length;
let failed = tests.filter((test) => test.status === "failed").length;
const skipped = tests.length - passed - failed;
// A file that could not be loaded fails without a test in it.
failed += files.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
).length;
// Unhandled errors and a broken set-up fail the run without failing a test.
if (failed === 0 && (vitestStatus !== "0" || passed === 0)) failed = 1;

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : 0;
