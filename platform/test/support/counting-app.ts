const SCRIPT = `
const { createServer } = require("node:http");
let count = 0;
const padding = ".".repeat(Number(process.env.PADDING));
setInterval(() => console.log(padding + " count " + count++), Number(process.env.EVERY_MS));
createServer((request, response) => response.end(String(count))).listen(process.env.PORT);
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
`;

/**
 * The body of `POST /envs` for an app that prints `count 0`, `count 1` …, each after so many
 * characters of padding, and answers how far it is.
 */
export function countingApp(name: string, everyMs: number, padding = 0): Record<string, unknown> {
  return { name, command: ["node", "-e", SCRIPT], env: { EVERY_MS: String(everyMs), PADDING: String(padding) } };
}

/** The numbers in log lines of a counting app, in their order. */
export function countsIn(lines: string[]): number[] {
  return lines.flatMap((line) => / count (\d+)$/.exec(line)?.[1] ?? []).map(Number);
}
