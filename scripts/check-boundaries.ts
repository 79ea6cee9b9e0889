/**
 * Keeps data flowing one way: which room of platform/ may import which (docs/architecture.md).
 * Fails on a forbidden import, on a cycle of any kind, and when the analysis covers fewer modules than there are.
 */
import { globSync } from "node:fs";
import { cruise } from "dependency-cruiser";
import type { ICruiseResult } from "dependency-cruiser";

const ADAPTERS = ["workloads", "routing", "store", "host", "probes"];
const USECASES = ["usecases", "domain", "kernel"];

/** Room → rooms and packages it may import; "type:x" is for `import type` only. "root" are platform/'s own files. */
const ALLOWED: Record<string, string[]> = {
  kernel: ["kernel", "pino"],
  domain: ["domain", "kernel", "zod"],
  workloads: ["workloads", "domain", "kernel", "dockerode", "p-queue"],
  routing: ["routing", "domain", "kernel"],
  store: ["store", "domain", "kernel", "zod"],
  host: ["host", "domain", "kernel"],
  probes: ["probes", "domain", "kernel"],
  outages: ["outages", "domain", "kernel", "type:workloads"],
  usecases: [...USECASES, "outages", "p-queue", ...ADAPTERS.map((room) => `type:${room}`)],
  loops: ["loops", ...USECASES, "node-cron"],
  http: ["http", ...USECASES, "express", "express-rate-limit", "helmet", "p-queue", "zod"],
  cli: ["cli", "type:http", "kernel"],
  root: ["root", ...ADAPTERS, ...USECASES, "loops", "http", "outages", "zod"],
};
/** The only file of kernel/ that domain/ may import, the error catalogue: all others have effects. */
const KERNEL_FOR_DOMAIN = "platform/kernel/errors.ts";
/** Packages that a single file may import. */
const SINGLE_IMPORTERS: Record<string, RegExp> = {
  dockerode: /^platform\/workloads\/docker\/client\.ts$/,
  "node-cron": /^platform\/loops\/scheduler\.ts$/,
};

const files = globSync("platform/**/*.ts").filter(
  (file) => !file.startsWith("platform/test/") && !file.endsWith(".test.ts"),
);
const result = await cruise(
  files,
  {
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "default"] },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "\\.test\\.ts$|^platform/test/" },
    ruleSet: { forbidden: [{ name: "no-cycle", severity: "error", from: {}, to: { circular: true } }] },
    validate: true,
  },
  undefined,
  { tsConfig: undefined } as never,
);
const { modules, summary } = result.output as ICruiseResult;
const own = modules.filter(({ source }) => source.startsWith("platform/"));

const problems: string[] = summary.violations.map(({ from, to }) => `${from} and ${to} import each other`);
if (own.length < files.length)
  problems.push(`only ${own.length} of ${files.length} modules were analysed: the check is incomplete`);
for (const { source, dependencies } of own) {
  const room = roomOf(source);
  const allowed = ALLOWED[room];
  if (allowed === undefined) {
    problems.push(`${source} is in no room that scripts/check-boundaries.ts knows`);
    continue;
  }
  for (const { resolved, module, dependencyTypes, couldNotResolve } of dependencies) {
    if (couldNotResolve) problems.push(`${source} imports ${module}, which cannot be found`);
    const target = resolved.startsWith("platform/") ? roomOf(resolved) : packageOf(module);
    const only = SINGLE_IMPORTERS[target];
    if (only !== undefined && !dependencyTypes.includes("type-only") && !only.test(source))
      problems.push(`${source} imports ${target}, which only ${only.source} may`);
    if (dependencyTypes.includes("core")) {
      if (room === "domain") problems.push(`${source} imports ${module}: domain is pure`);
      continue;
    }
    if (room === "domain" && target === "kernel" && resolved !== KERNEL_FOR_DOMAIN)
      problems.push(`${source} imports ${module}: of kernel/, domain may import errors.ts only`);
    const asType = dependencyTypes.includes("type-only") && allowed.includes(`type:${target}`);
    if (!allowed.includes(target) && !asType)
      problems.push(`${source} imports ${module}: ${room} may import ${allowed.join(", ")}`);
  }
}

for (const problem of problems) console.error(`  ${problem}`);
console.log(`boundaries: ${own.length} modules, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

function roomOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? (parts[1] ?? "") : "root";
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}
