import { readdir, readlink } from "node:fs/promises";
import { sep } from "node:path";

/** Files below `folder` that this process has open, deleted ones included. */
export async function openFilesBelow(folder: string): Promise<string[]> {
  const descriptors = await readdir("/proc/self/fd");
  const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
  return targets.filter((target) => target.startsWith(folder + sep)).sort();
}
