import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, writeFileAtomic } from "../../kernel/atomic-file.ts";
import { isFolder } from "./archive-folder.ts";

const FILE = "owner";

/**
 * Writes into an environment's folder of logs whose they are: its record, which knows it, is about to
 * go. A disk too full for that must not keep an environment from ending; its logs are then nobody's,
 * which only admins and viewers may read.
 */
export async function noteOwner(folder: string, owner: string | null): Promise<void> {
  if (owner === null || !(await isFolder(folder))) return;
  await writeFileAtomic(join(folder, FILE), owner, { durable: false }).catch(() => undefined);
}

/** Null when nobody's. */
export async function readOwner(folder: string): Promise<string | null> {
  try {
    return (await readFile(join(folder, FILE), "utf8")) || null;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return null;
    throw error;
  }
}
