import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { errnoOf, storageError } from "../../kernel/atomic-file.ts";

/** `<id>.json` in the state folder, `<id>.json.<when>` in the quarantine. */
const STATE_FILE = /^(.+)\.json(?:\..+)?$/;

/**
 * Ids that a file in either folder is named after, and since when the latest of an id's files has
 * been there: a rename and a copy both set a file's change time, whatever dates they keep. Throws
 * `storage_failed`, since who takes "cannot tell" for "none" would remove what is only set aside.
 */
export async function findSetAside(...folders: string[]): Promise<{ id: string; since: number }[]> {
  const latest = new Map<string, number>();
  for (const folder of folders) {
    for (const name of await namesIn(folder)) {
      const id = STATE_FILE.exec(name)?.[1];
      if (id === undefined || !isEnvironmentId(id)) continue;
      const since = await changedAt(join(folder, name));
      if (since !== null) latest.set(id, Math.max(since, latest.get(id) ?? 0));
    }
  }
  return [...latest].map(([id, since]) => ({ id, since }));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw storageError("read folder", folder, error);
  }
}

async function changedAt(path: string): Promise<number | null> {
  try {
    return (await lstat(path)).ctimeMs;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw storageError("look at file", path, error);
  }
}
