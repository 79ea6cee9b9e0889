import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Workbench } from "./workbench.ts";

/** An environment's log of that name on disk and the older ones beside it: their paths. */
export async function logFilesOf(
  { instance }: Workbench,
  id: string,
  log: "app.log" | "health.log",
): Promise<string[]> {
  const folder = join(instance.folder, "logs", id);
  return (await readdir(folder)).filter((name) => name.startsWith(log)).map((name) => join(folder, name));
}
