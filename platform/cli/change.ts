// Commands that change environments.
import { createInterface } from "node:readline/promises";
import { type Environment, UsageError, callJson, envPath } from "./api.ts";
import { optional, optionalPort, optionalSeconds, required, seconds } from "./parameters.ts";
import { formatSeconds, printable, withProgress } from "./terminal.ts";

/** Creates one: NAME= TTL= IMAGE= PORT=, all optional. At a terminal it asks for name and lifetime without both. */
export async function create(): Promise<void> {
  let name = optional("NAME");
  let ttl = optionalSeconds("TTL");
  if (name === undefined && ttl === undefined && process.stdin.isTTY) ({ name, ttl } = await askNameAndTtl());
  const image = optional("IMAGE");
  const port = optionalPort("PORT");
  const body = {
    ...(name === undefined ? {} : { name }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(image === undefined ? {} : { image }),
    ...(port === undefined ? {} : { port }),
  };
  const { result: env, took } = await withProgress(`Creating ${name ?? "an environment"}`, () =>
    callJson<Environment>("POST", "/envs", body),
  );
  console.log(`Environment  ${env.id}`);
  console.log(`Status       ${env.status} after ${took}, for ${formatSeconds(env.ttl_remaining)}`);
  console.log(`URL          ${env.url}`);
  if (env.status === "degraded") console.log(`It runs but is not healthy. Its logs: make logs ENV=${env.id}`);
}

async function askNameAndTtl(): Promise<{ name: string | undefined; ttl: number | undefined }> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D close the prompt, whose question would then wait for ever.
  const closed = new Promise<never>((_, reject) => {
    prompt.once("close", () => reject(new UsageError("\nNothing was created.")));
  });
  prompt.on("SIGINT", () => prompt.close());
  const ask = (question: string) => Promise.race([prompt.question(question), closed]);
  try {
    const name = await ask("Name (empty: one is made up): ");
    const ttl = await ask("Lifetime, such as 90, 15m or 2h (empty: the default): ");
    return { name: name.trim() || undefined, ttl: ttl.trim() ? seconds(ttl, "TTL") : undefined };
  } finally {
    prompt.close();
  }
}

/** Destroys one: ENV=. */
export async function destroy(): Promise<void> {
  const id = required("ENV", "make destroy ENV=env-hello-1a2b3c");
  const { result, took } = await withProgress(`Destroying ${id}`, () => destroyOne(id));
  console.log(`Destroyed ${id} in ${took}; its logs: ${result.archived_logs ?? "none, it never ran"}`);
}

function destroyOne(id: string): Promise<{ archived_logs: string | null }> {
  return callJson("DELETE", envPath(id));
}

/** Destroys every environment concurrently; fails if one could not be destroyed. */
export async function destroyAll(): Promise<void> {
  const environments = await callJson<Environment[]>("GET", "/envs");
  const outcomes = await Promise.allSettled(
    environments.map(async ({ id }) => {
      await destroyOne(id);
      console.log(`      destroyed ${id}`);
    }),
  );
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

/** Begins an outage, or ends it with MODE=recover: ENV= MODE= DURATION=. */
export async function simulate(): Promise<void> {
  const usage = "make simulate ENV=env-hello-1a2b3c MODE=crash|pause|network|stress|recover [DURATION=30]";
  const id = required("ENV", usage);
  const mode = required("MODE", usage);
  const duration = optionalSeconds("DURATION");
  const body = { mode, ...(duration === undefined ? {} : { duration }) };
  const { result: env } = await withProgress(`${mode} on ${id}`, () =>
    callJson<Environment>("POST", envPath(id, "/outage"), body),
  );
  if (env.outage === null) {
    console.log(`${id} is recovered: ${env.status}`);
    return;
  }
  const end =
    env.outage.ends_at === null ? `until make simulate ENV=${id} MODE=recover` : `until ${env.outage.ends_at}`;
  console.log(`${id} has a ${env.outage.mode} outage, ${end}\nWatch it: make health ENV=${id}`);
}

/** Ends every running outage; fails if one could not be ended. */
export async function halt(): Promise<void> {
  const { result, took } = await withProgress("Ending every outage", () =>
    callJson<{ recovered: string[]; failed: { id: string; detail: string }[] }>("POST", "/halt"),
  );
  for (const id of result.recovered) console.log(`Recovered ${id}`);
  for (const { id, detail } of result.failed) console.error(printable(`Failed ${id}: ${detail}`));
  if (result.failed.length > 0) process.exitCode = 1;
  else console.log(`${result.recovered.length} outages ended in ${took}`);
}

/** Extends a lifetime by TTL: ENV= TTL=. */
export async function extend(): Promise<void> {
  const usage = "make extend ENV=env-hello-1a2b3c TTL=15m";
  const id = required("ENV", usage);
  const more = seconds(required("TTL", usage), "TTL");
  const env = await callJson<Environment>("POST", envPath(id, "/extend"), { seconds: more });
  console.log(`${id} lives for ${formatSeconds(env.ttl_remaining)}, until ${env.expires_at}`);
}
