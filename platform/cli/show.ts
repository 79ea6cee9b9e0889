// Commands that only read.
import { ApiError, type Check, type Environment, apiUrl, call, callJson, envPath } from "./api.ts";
import { optional, required } from "./parameters.ts";
import { formatSeconds, printable, printTable } from "./terminal.ts";

type Health = { status: string; checks: Check[] };

/** Prints every environment in a table. */
export async function list(): Promise<void> {
  const environments = await callJson<Environment[]>("GET", "/envs");
  if (environments.length === 0) {
    console.log("No environments. Create one: make create NAME=hello");
    return;
  }
  printTable(
    ["ID", "STATUS", "TTL LEFT", "URL"],
    environments.map((env) => [env.id, env.status, formatSeconds(env.ttl_remaining), env.url]),
  );
}

/** Prints every environment's health, or with ENV= the last checks of one. */
export async function health(): Promise<void> {
  const id = optional("ENV");
  if (id !== undefined) {
    const { status, checks } = await callJson<Health>("GET", envPath(id, "/health"));
    console.log(`${id} is ${status}\n`);
    printTable(["TIME", "RESULT", "STATUS", "LATENCY"], checks.map(checkRow));
    return;
  }
  const environments = await callJson<Environment[]>("GET", "/envs");
  if (environments.length === 0) {
    console.log("No environments. Create one: make create NAME=hello");
    return;
  }
  const rows = await Promise.all(environments.map(({ id }) => healthRow(id)));
  printTable(
    ["ID", "STATUS", "LAST CHECKS", "LATENCY", "WHEN"],
    rows.filter((row) => row !== undefined),
  );
}

function checkRow(check: Check): string[] {
  return [
    check.timestamp,
    check.ok ? "ok" : "failed",
    String(check.status ?? "-"),
    `${check.latency_ms} ms${check.error ? `   ${check.error}` : ""}`,
  ];
}

async function healthRow(id: string): Promise<string[] | undefined> {
  try {
    const { status, checks } = await callJson<Health>("GET", envPath(id, "/health"));
    const last = checks.at(-1);
    const marks = checks.map((check) => (check.ok ? "+" : "!")).join("");
    return [id, status, marks || "none yet", last ? `${last.latency_ms} ms` : "-", last?.timestamp ?? "-"];
  } catch (error) {
    // Destroyed since the list was read.
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** Follows the logs of one until it ends, or until Ctrl-C: ENV=. */
export async function followLogs(): Promise<void> {
  const id = required("ENV", "make logs ENV=env-hello-1a2b3c");
  // To stop following is a success.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(0));
  process.stdout.on("error", () => process.exit(0));
  const response = await call("GET", envPath(id, "/logs"), { accept: "text/event-stream" });
  if (!response.body) return;
  let [rest, event] = ["", ""];
  try {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("event:")) event = line.replace(/^event: ?/, "");
        else if (line === "") event = "";
        else if (line.startsWith("data:")) printEvent(event, line.replace(/^data: ?/, ""));
      }
    }
  } catch {
    throw new ApiError("The API ended the stream; it may have been restarted. Follow again: make logs ENV=…");
  }
}

/** Prints a line of the log, or on stderr the reason why no more lines come. */
function printEvent(event: string, data: string): void {
  if (event === "end") console.error(`The stream ended: ${data}`);
  else process.stdout.write(`${printable(data)}\n`);
}

/** Prints the answer of /healthz. */
export async function status(): Promise<void> {
  const { text, ok } = await healthz();
  console.log(text);
  if (!ok) process.exitCode = 1;
}

/** Waits up to 60 s until /healthz answers 200; fails with its last answer. */
export async function waitUntilHealthy(): Promise<void> {
  const deadline = Date.now() + 60_000;
  let answer = "";
  for (;;) {
    try {
      const { ok, text } = await healthz();
      if (ok) return;
      answer = text;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      answer = error.message;
    }
    if (Date.now() > deadline) throw new ApiError(`${apiUrl()}/healthz is not 200 after 60 s. It says:\n${answer}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function healthz(): Promise<{ ok: boolean; text: string }> {
  try {
    const response = await fetch(`${apiUrl()}/healthz`, { signal: AbortSignal.timeout(10_000) });
    const text = await response.text();
    return { ok: response.ok, text: pretty(text) };
  } catch {
    throw new ApiError(`The API does not answer at ${apiUrl()}. Start the platform: make up`);
  }
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
