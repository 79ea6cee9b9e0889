import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export type WrkReport = { perSecond: number; errors: number };

/** Whether this machine has wrk. */
export async function hasWrk(signal: AbortSignal): Promise<boolean> {
  return run("wrk", ["--version"], { signal }).then(
    () => true,
    // wrk exits with 1 after it has printed its version.
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
}

/** Runs wrk with 2 threads and 64 connections. */
export async function runWrk(
  { url, host, seconds }: { url: string; host: string; seconds: number },
  signal: AbortSignal,
): Promise<WrkReport> {
  const args = ["-t2", "-c64", `-d${seconds}s`, "--timeout", "10s", "-H", `Host: ${host}`, url];
  return parseWrk((await run("wrk", args, { signal })).stdout);
}

/** Parses wrk's output. `errors` are those of sockets and answers with a bad status. Throws without a whole report. */
export function parseWrk(output: string): WrkReport {
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(output)?.[1]);
  if (Number.isNaN(perSecond)) throw new Error(`Cannot read wrk's report: ${output}`);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(output)?.slice(1) ?? [];
  return { perSecond, errors: [...sockets, ...bad].reduce((total, count) => total + Number(count), 0) };
}
