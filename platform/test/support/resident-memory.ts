import { readFileSync } from "node:fs";
import type { TestInstance } from "./test-instance.ts";

/** Resident memory of an instance's API in MiB. */
export function residentMib({ pid }: Pick<TestInstance, "pid">): number {
  const status = readFileSync(`/proc/${pid()}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
