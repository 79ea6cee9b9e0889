/**
 * Measures the platform against the bare engine, side by side in one run, and prints a table: `make bench`
 * (docs/performance.md). Exits 1 only when a row could not be measured, never because of a figure.
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, release, totalmem } from "node:os";
import { dirname, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { isReached, type Line } from "./line.ts";
import { measureBurst } from "./rows/burst.ts";
import { measureFrontDoor } from "./rows/front-door.ts";
import { measureGrowth } from "./rows/growth.ts";
import { measureListing } from "./rows/listing.ts";
import { measureLogFlow } from "./rows/log-flow.ts";
import { measureOne } from "./rows/one.ts";
import { measureWarm } from "./rows/warm.ts";
import { measureWarmBesideCaller } from "./rows/warm-beside-caller.ts";
import { renderTable } from "./table.ts";
import { createWorkbench, type Workbench } from "./workbench.ts";

const ROOT = resolve(import.meta.dirname, "..");

type Measure = (bench: Workbench) => Promise<{ lines: Line[]; raw: unknown; note?: string }>;
type Result = { lines: Line[]; raw: unknown; note: string | null; error: string | null; seconds: number };

type Machine = { cpus: number; memoryGb: number; engine: string; description: string };
/** `load` is the machine's average of a minute, which shows whether other work ran too. */
type Report = { date: string; machine: Machine; load: Record<string, number | undefined> };

/** In this order: growth fills the platform, and the rows after it use its environments. */
const ROWS: Record<string, Measure> = {
  create: measureOne,
  warm: measureWarm,
  "warm-beside-caller": measureWarmBesideCaller,
  burst: measureBurst,
  "front-door": measureFrontDoor,
  growth: measureGrowth,
  listing: measureListing,
  logs: measureLogFlow,
};

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const print = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "string" } } });
  const chosen = chooseRows(process.env["BENCH_ONLY"] ?? "");
  const json = resolve(ROOT, values.json ?? `.cache/bench/${new Date().toISOString().replaceAll(":", "")}.json`);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (!stop.signal.aborted) print(`${signal}: cleaning up`);
      stop.abort(new Error(`interrupted by ${signal}`));
    });

  const machine = await describeMachine();
  const load = { before: loadavg()[0] ?? 0 };
  let current = "";
  const bench = await createWorkbench({
    samples: numberFrom("BENCH_SAMPLES", 20),
    minutes: numberFrom("BENCH_MINUTES", 2),
    many: numberFrom("BENCH_ENVS", 200),
    signal: stop.signal,
    progress: (text) => print(`  ${current}: ${text}`),
  });
  const results: Record<string, Result> = {};
  try {
    for (const name of chosen) {
      current = name;
      results[name] = await runRow(bench, name);
    }
  } finally {
    print("cleaning up");
    // A failed clean-up does not keep the results from being printed.
    await bench.remove().catch((error: unknown) => {
      print(`Cannot clean up: ${describe(error)}; look for ${bench.instance.name}`);
      process.exitCode = 1;
    });
  }
  const report = { date: new Date().toISOString(), machine, load: { ...load, after: loadavg()[0] } };
  await reportResults(results, report, json);
}

async function reportResults(results: Record<string, Result>, report: Report, json: string): Promise<void> {
  const all = Object.entries(results);
  process.stdout.write(`\n${renderTable(all.flatMap(([, { lines }]) => lines))}\n\n`);
  for (const [name, { note, error }] of all) {
    if (note !== null) process.stdout.write(`${name}: ${note}\n`);
    if (error !== null) process.stdout.write(`${name}: not measured: ${error}\n`);
  }
  const rows = Object.fromEntries(
    all.map(([name, row]) => [
      name,
      { ...row, lines: row.lines.map((line) => ({ ...line, reached: isReached(line) })) },
    ]),
  );
  const round = (_: string, value: unknown) => (typeof value === "number" ? Math.round(value * 1000) / 1000 : value);
  await mkdir(dirname(json), { recursive: true });
  await writeFile(json, `${JSON.stringify({ ...report, rows }, round, 2)}\n`);
  process.stdout.write(`${report.machine.description}; written to ${json}\n`);
  if (all.some(([, { error }]) => error !== null)) process.exitCode = 1;
}

/** A row that fails is reported in its place, and the others go on; an interrupted one ends the run. */
async function runRow(bench: Workbench, name: string): Promise<Result> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const interrupted = Promise.withResolvers<never>();
  const onAbort = (): void => interrupted.reject(bench.signal.reason);
  bench.signal.throwIfAborted();
  bench.signal.addEventListener("abort", onAbort);
  try {
    print(name);
    const {
      lines,
      raw,
      note = null,
    } = (await Promise.race([ROWS[name]?.(bench), interrupted.promise])) as Awaited<ReturnType<Measure>>;
    print(`  ${name}: done in ${seconds().toFixed(0)} s`);
    return { lines, raw, note, error: null, seconds: seconds() };
  } catch (error) {
    bench.signal.throwIfAborted();
    const reason = describe(error);
    print(`  ${name}: not measured: ${reason}\n${bench.instance.output().split("\n").slice(-6).join("\n")}`);
    return { lines: [], raw: null, note: null, error: reason, seconds: seconds() };
  } finally {
    bench.signal.removeEventListener("abort", onAbort);
  }
}

function chooseRows(only: string): string[] {
  const wanted = only
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  const unknown = wanted.filter((name) => ROWS[name] === undefined);
  if (unknown.length > 0)
    throw new Error(`BENCH_ONLY knows ${Object.keys(ROWS).join(", ")}, not ${unknown.join(", ")}`);
  return Object.keys(ROWS).filter((name) => wanted.length === 0 || wanted.includes(name));
}

function numberFrom(name: string, fallback: number): number {
  const value = Number(process.env[name] || fallback);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0`);
  return value;
}

async function describeMachine(): Promise<Machine> {
  const { stdout } = await promisify(execFile)("docker", ["version", "--format", "{{.Server.Version}}"]);
  const [cpus, memoryGb, engine] = [availableParallelism(), Math.round(totalmem() / 2 ** 30), stdout.trim()];
  const description = `${cpus} cores, ${memoryGb} GB, Linux ${release()}, Docker ${engine}, Node ${process.version}`;
  return { cpus, memoryGb, engine, description };
}

main().catch((error: unknown) => {
  print(`Cannot measure: ${describe(error)}`);
  process.exit(1);
});
