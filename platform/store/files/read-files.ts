import { readdir, readFile } from "node:fs/promises";
import { errnoOf, storageError } from "../../kernel/atomic-file.ts";

/** The text of a file; null where there is none. Throws `storage_failed`. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isAbsence(error)) return null;
    throw storageError("read file", path, error);
  }
}

/** The names in a folder; none where there is no folder. Throws `storage_failed`. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw storageError("read folder", path, error);
  }
}

/** Whether an error says that a file, or a folder above it, does not exist. */
export function isAbsence(error: unknown): boolean {
  const code = errnoOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
