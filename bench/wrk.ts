import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const MILLISECONDS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

export type WrkReport = { perSecond: number; p99Ms: number; requests: number; errors: number };

/** Whether this machine has wrk. */
export async function hasWrk(signal: AbortSignal): Promise<boolean> {
  return run("wrk", ["--version"], { signal }).then(
    () => true,
    // It ends with 1 when it has told its version.
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
}

/** Runs wrk with 2 threads and 64 connections. */
export async function runWrk(
  url: string,
  headers: Record<string, string>,
  seconds: number,
  signal: AbortSignal,
): Promise<WrkReport> {
  const given = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const args = ["-t2", "-c64", `-d${seconds}s`, "--timeout", "10s", "--latency", ...given, url];
  return parseWrk((await run("wrk", args, { signal })).stdout);
}

/** What wrk printed. Throws where that is no whole report. */
export function parseWrk(output: string): WrkReport {
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1]);
  const [, p99 = "", unit = ""] = /^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$/m.exec(output) ?? [];
  const report = {
    perSecond: number(/^Requests\/sec:\s+([\d.]+)/m),
    p99Ms: Number(p99 === "" ? Number.NaN : p99) * (MILLISECONDS[unit] ?? Number.NaN),
    requests: number(/^\s+(\d+) requests in /m),
  };
  if (Object.values(report).some(Number.isNaN)) throw new Error(`Cannot read wrk's report: ${output}`);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(output)?.slice(1) ?? [];
  return { ...report, errors: [...sockets, ...bad].reduce((total, count) => total + Number(count), 0) };
}
