import { lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { errnoOf, moveFile, storageError } from "../../kernel/atomic-file.ts";
import type { Clock } from "../../kernel/clock.ts";
import { describeError } from "../../kernel/errors.ts";
import { listFolder } from "../files/read-files.ts";

/** The folder in the state folder that takes the files that are no state files. */
export const QUARANTINE = "quarantine";
/** `<id>.json` in the state folder, `<id>.json.<when>` in the quarantine. */
const STATE_FILE = /^(.+)\.json(?:\..+)?$/;

/** An environment that a file is named after, and since when the file is there, in milliseconds since the epoch. */
export type FoundFile = { id: string; since: number };

/**
 * The environments that files in these folders are named after, each with the time of its latest file: a rename and a
 * copy both set a file's change time. Throws `storage_failed`, since an unreadable folder that is taken for an empty
 * one would make orphans of its environments.
 */
export async function findStateFiles(...folders: string[]): Promise<FoundFile[]> {
  const latest = new Map<string, number>();
  for (const folder of folders) {
    for (const name of await listFolder(folder)) {
      const id = STATE_FILE.exec(name)?.[1];
      if (id === undefined || !isEnvironmentId(id)) continue;
      const since = await changedAt(join(folder, name));
      if (since !== null) latest.set(id, Math.max(since, latest.get(id) ?? 0));
    }
  }
  return [...latest].map(([id, since]) => ({ id, since }));
}

/** Moves a file to the quarantine, where nothing is overwritten. Returns the reason and where the file is now. */
export async function moveToQuarantine(folder: string, file: string, reason: string, clock: Clock): Promise<string> {
  try {
    const name = `${file}.${clock.timestamp().replaceAll(":", "-")}`;
    const place = await reservePlace(join(folder, QUARANTINE), name);
    await moveFile(join(folder, file), join(folder, QUARANTINE, place));
    return `${reason}; moved to ${QUARANTINE}/${place}`;
  } catch (error) {
    return `${reason}; left where it is, since it cannot be moved: ${describeError(error)}`;
  }
}

/** Takes a free name by an empty file, which the move replaces: a mere check could be outrun. */
async function reservePlace(folder: string, name: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (let attempt = 0; ; attempt++) {
    const place = attempt === 0 ? name : `${name}.${attempt}`;
    try {
      await (await open(join(folder, place), "wx")).close();
      return place;
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw storageError("create file", join(folder, place), error);
    }
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
