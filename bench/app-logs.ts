import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { waitUntil } from "../platform/test/support/wait-until.ts";
import type { Workbench } from "./workbench.ts";

/** A log that has not grown for so long is complete. */
const STILL_MS = 700;
const STILL_LIMIT_MS = 60_000;

/** Paths of an environment's app.log and of its rotated files. */
export async function appLogsOf({ instance }: Workbench, id: string): Promise<string[]> {
  const folder = join(instance.folder, "logs", id);
  return (await readdir(folder)).filter((name) => name.startsWith("app.log")).map((name) => join(folder, name));
}

/** Resolves once everything that an application has printed is in its log. */
export async function awaitCompleteLog(bench: Workbench, id: string): Promise<void> {
  let [last, since] = [-1, performance.now()];
  const isStill = async (): Promise<boolean> => {
    const sizes = await Promise.all((await appLogsOf(bench, id)).map(async (file) => (await stat(file)).size));
    const size = sizes.reduce((sum, each) => sum + each, 0);
    if (size !== last) [last, since] = [size, performance.now()];
    return performance.now() - since >= STILL_MS;
  };
  await waitUntil("the application's log to be complete", isStill, STILL_LIMIT_MS);
}
