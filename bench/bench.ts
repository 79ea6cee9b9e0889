/**
 * Measures the platform against the bare engine, side by side in one run, and prints a table: `make bench`.
 * Docs: docs/performance.md. Fails only where it could not measure, never for a figure.
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
import { measureHealthSweep } from "./rows/health-sweep.ts";
import { measureListing } from "./rows/listing.ts";
import { measureLogFlow } from "./rows/log-flow.ts";
import { measureOne } from "./rows/one.ts";
import { measureWarm } from "./rows/warm.ts";
import { renderTable } from "./table.ts";
import { createWorkbench, type Workbench } from "./workbench.ts";

const ROOT = resolve(import.meta.dirname, "..");

type Measure = (bench: Workbench) => Promise<{ lines: Line[]; raw: unknown; note?: string }>;
type Result = { lines: Line[]; raw: unknown; note: string | null; error: string | null; seconds: number };

type Machine = { cpus: number; memoryGb: number; engine: string; description: string };
/** Load: the machine's average of a minute, which tells whether others were at work too. */
type Report = { date: string; machine: Machine; load: Record<string, number | undefined> };

/** In this order: growth fills the platform, and those after it use what it made. */
const ROWS: Record<string, Measure> = {
  create: measureOne,
  warm: measureWarm,
  burst: measureBurst,
  "front-door": measureFrontDoor,
  growth: measureGrowth,
  listing: measureListing,
  sweep: measureHealthSweep,
  logs: measureLogFlow,
};

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const tell = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "string" } } });
  const chosen = chooseRows(process.env["BENCH_ONLY"] ?? "");
  const json = resolve(ROOT, values.json ?? `.cache/bench/${new Date().toISOString().replaceAll(":", "")}.json`);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (!stop.signal.aborted) tell(`${signal}: cleaning up`);
      stop.abort(new Error(`broken off by ${signal}`));
    });

  const machine = await describeMachine();
  const load = { before: loadavg()[0] ?? 0 };
  let current = "";
  const bench = await createWorkbench({
    samples: numberFrom("BENCH_SAMPLES", 20),
    minutes: numberFrom("BENCH_MINUTES", 2),
    many: numberFrom("BENCH_ENVS", 200),
    signal: stop.signal,
    progress: (text) => tell(`  ${current}: ${text}`),
  });
  const results: Record<string, Result> = {};
  try {
    for (const name of chosen) {
      current = name;
      results[name] = await runRow(bench, name);
    }
  } finally {
    tell("cleaning up");
    // Before the table, which is printed even so: what was measured stays measured.
    await bench.remove().catch((error: unknown) => {
      tell(`Cannot clean up: ${describe(error)}; look for ${bench.instance.name}`);
      process.exitCode = 1;
    });
  }
  const report = { date: new Date().toISOString(), machine, load: { ...load, after: loadavg()[0] } };
  await tellResults(results, report, json);
}

async function tellResults(results: Record<string, Result>, report: Report, json: string): Promise<void> {
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

/** A row that fails is told in its place and stops no other; one that was broken off stops them all. */
async function runRow(bench: Workbench, name: string): Promise<Result> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const broken = Promise.withResolvers<never>();
  const onAbort = (): void => broken.reject(bench.signal.reason);
  bench.signal.throwIfAborted();
  bench.signal.addEventListener("abort", onAbort);
  try {
    tell(name);
    const {
      lines,
      raw,
      note = null,
    } = (await Promise.race([ROWS[name]?.(bench), broken.promise])) as Awaited<ReturnType<Measure>>;
    tell(`  ${name}: done in ${seconds().toFixed(0)} s`);
    return { lines, raw, note, error: null, seconds: seconds() };
  } catch (error) {
    bench.signal.throwIfAborted();
    const reason = describe(error);
    tell(`  ${name}: not measured: ${reason}\n${bench.instance.output().split("\n").slice(-6).join("\n")}`);
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
  tell(`Cannot measure: ${describe(error)}`);
  process.exit(1);
});
