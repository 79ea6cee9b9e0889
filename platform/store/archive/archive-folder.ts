import { mkdir, readdir, rename, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errnoOf, writeFileAtomic } from "../../kernel/atomic-file.ts";
import { readText } from "../files/read-files.ts";
import { rotate } from "../files/rotating-file.ts";

/** How many old files of a log are kept beside the one being written. */
export const KEPT_FILES = 3;
/** scripts/down.sh writes it, too. */
const OWNER = "owner";

/**
 * * Moves a folder of logs into the archive, if there is one. Where the archive has the folder already (lines came in
 * after an archiving that was cut short), the files there count as older and each move rotates them.
 */
export async function moveLogs(from: string, to: string): Promise<void> {
  if (!(await isFolder(from))) return;
  if (!(await isFolder(to))) {
    await mkdir(dirname(to), { recursive: true });
    await rename(from, to);
    return;
  }
  // Backwards by name is oldest first: app.log.2, app.log.1, app.log.
  for (const name of (await readdir(from)).sort().toReversed()) {
    const path = join(to, name.replace(/\.\d+$/, ""));
    await rotate(path, KEPT_FILES);
    await rename(join(from, name), path);
  }
  await rmdir(from);
}

/**
 * Writes the owner into a folder of logs: the record, which has it, is about to go. Where the disk is too full for that
 * the environment ends all the same, and only admins and viewers may read its logs.
 */
export async function writeOwner(folder: string, owner: string | null): Promise<void> {
  if (owner === null || !(await isFolder(folder))) return;
  await writeFileAtomic(join(folder, OWNER), owner, { durable: false }).catch(() => undefined);
}

/** The owner of a folder of logs; null where it has none. Throws `storage_failed`. */
export async function readOwner(folder: string): Promise<string | null> {
  return (await readText(join(folder, OWNER))) || null;
}

export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
