/**
 * Keeps data flowing one way: which folder of platform/ may import which (docs/architecture.md).
 * Fails on a forbidden import, on a cycle, and when it saw fewer modules than there are.
 */
import { globSync } from "node:fs";
import { cruise } from "dependency-cruiser";
import type { ICruiseResult } from "dependency-cruiser";

/**
 * Folder → folders and packages it may import; "type:x" means only as `import type`. runtime sees
 * domain for the error catalogue alone: a disk that refuses is the same error whoever wrote to it.
 */
const ALLOWED: Record<string, string[]> = {
  domain: ["domain", "zod"],
  runtime: ["runtime", "domain", "pino"],
  engine: ["engine", "domain", "runtime", "dockerode", "p-queue"],
  ingress: ["ingress", "domain", "runtime"],
  store: ["store", "domain", "runtime", "zod"],
  probes: ["probes", "domain", "runtime"],
  outages: ["outages", "domain", "type:engine"],
  usecases: [
    "usecases",
    "domain",
    "runtime",
    "outages",
    "p-queue",
    "type:engine",
    "type:ingress",
    "type:store",
    "type:probes",
  ],
  loops: ["loops", "usecases", "domain", "runtime", "node-cron"],
  http: ["http", "usecases", "domain", "runtime", "express", "express-rate-limit", "helmet", "p-queue", "zod"],
};
/** Packages that only one file may import. */
const SINGLE_IMPORTERS: Record<string, RegExp> = {
  dockerode: /^platform\/engine\/docker-client\.ts$/,
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
    ruleSet: {
      forbidden: [
        {
          name: "no-cycle",
          severity: "error",
          from: {},
          to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
        },
      ],
    },
    validate: true,
  },
  undefined,
  { tsConfig: undefined } as never,
);
const { modules, summary } = result.output as ICruiseResult;
const own = modules.filter(({ source }) => source.startsWith("platform/"));

const problems: string[] = summary.violations.map(({ from, to }) => `${from} and ${to} import each other`);
if (own.length < files.length)
  problems.push(`only ${own.length} of ${files.length} modules were seen: the check is blind`);
for (const { source, dependencies } of own) {
  const folder = folderOf(source);
  const allowed = ALLOWED[folder];
  for (const { resolved, module, dependencyTypes, couldNotResolve } of dependencies) {
    if (couldNotResolve) problems.push(`${source} imports ${module}, which cannot be found`);
    const builtin = dependencyTypes.includes("core");
    const target = resolved.startsWith("platform/") ? folderOf(resolved) : packageOf(module);
    const only = SINGLE_IMPORTERS[target];
    if (only !== undefined && !dependencyTypes.includes("type-only") && !only.test(source))
      problems.push(`${source} imports ${target}, which only ${only.source} may`);
    if (allowed === undefined) continue; // the composition root sees everything
    if (builtin) {
      if (folder === "domain") problems.push(`${source} imports ${module}: domain is pure`);
      continue;
    }
    const asType = dependencyTypes.includes("type-only") && allowed.includes(`type:${target}`);
    if (!allowed.includes(target) && !asType)
      problems.push(`${source} imports ${module}: ${folder} may import ${allowed.join(", ")}`);
  }
}

for (const problem of problems) console.error(`  ${problem}`);
console.log(`boundaries: ${own.length} modules, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

function folderOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? (parts[1] ?? "") : "root";
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}
