import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { PlatformError } from "./errors.ts";

/** `durable: false` leaves out the fsyncs: for files that are written anew at every start. */
export type WriteOptions = { mode?: number; durable?: boolean };

/**
 * Temporary names begin with a dot and end in .tmp, so that no `*.conf` or `*.json` ever matches a half-written file.
 * Those of earlier versions, which may have left some, have two numbers in the place of the random part.
 */
const TEMPORARY_NAME = /^\..+\.([0-9a-f]{16}|\d+\.\d+)\.tmp$/;

/** Temporary files this process is writing now: a sweep must not take them away. */
const inFlight = new Set<string>();

/**
 * Replaces a file as a whole: a reader sees the old content or the new, never a part, and after a
 * power cut too when `durable` (the default). `mode` holds exactly, whatever the umask; left out, a
 * new file gets the process's default. Throws `storage_failed`; the former file is then untouched.
 */
export async function writeFileAtomic(path: string, data: string, options: WriteOptions = {}): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, temporaryName(basename(path)));
  inFlight.add(temporary);
  try {
    await writeNew(temporary, data, options);
    await rename(temporary, path);
    if (options.durable !== false) await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first failure is the one to tell
    throw storageError("write file", path, error);
  } finally {
    inFlight.delete(temporary);
  }
}

/** Removes a file, for good when `durable` (the default); none is fine. Throws `storage_failed`. */
export async function removeFile(path: string, { durable = true }: { durable?: boolean } = {}): Promise<void> {
  try {
    await unlink(path);
    if (durable) await syncFolder(dirname(path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw storageError("remove file", path, error);
  }
}

/** Makes a folder, and those above it, for good; one that is there is fine. Throws `storage_failed`. */
export async function makeFolder(path: string): Promise<void> {
  try {
    const made = await mkdir(path, { recursive: true });
    if (made === undefined) return;
    const top = dirname(resolve(made));
    for (let above = dirname(resolve(path)); above !== top; above = dirname(above)) await syncFolder(above);
    await syncFolder(top);
  } catch (error) {
    throw storageError("make folder", path, error);
  }
}

/** Moves a file or folder to a place on the same file system, making that place's folder. Throws `storage_failed`. */
export async function moveFile(from: string, to: string): Promise<void> {
  try {
    await mkdir(dirname(to), { recursive: true });
    await rename(from, to);
    await syncFolder(dirname(to));
    await syncFolder(dirname(from));
  } catch (error) {
    throw storageError("move file", from, error);
  }
}

/**
 * Removes temporary files that a killed process left in `folder` and returns their names. Meant for
 * start, before anyone else writes there; this process's own writes are left alone. Throws `storage_failed`.
 */
export async function sweepTemporaryFiles(folder: string): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter(
      (name) => TEMPORARY_NAME.test(name) && !inFlight.has(join(folder, name)),
    );
    await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
    return names;
  } catch (error) {
    throw storageError("sweep folder", folder, error);
  }
}

/** A failed file operation as the catalogue knows it. `verb` is what was tried, such as `read file`. */
export function storageError(verb: string, path: string, error: unknown): PlatformError {
  const code = errnoOf(error);
  const hint = code === "ENOSPC" ? ". Free disk space and try again" : ". Check the disk and the folder's permissions";
  return new PlatformError("storage_failed", `Cannot ${verb} "${path}": ${code ?? String(error)}${hint}.`, {
    cause: error,
  });
}

/** The system's name of a failure, such as ENOENT; null when it is none of the system's. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** Random, since in a container every process has the number of the one that was killed before it, and may meet its files. */
function temporaryName(name: string): string {
  return `.${name}.${randomBytes(8).toString("hex")}.tmp`;
}

async function writeNew(path: string, data: string, { mode, durable }: WriteOptions): Promise<void> {
  const file = await open(path, "wx", mode ?? 0o666);
  try {
    if (mode !== undefined) await file.chmod(mode);
    await file.writeFile(data);
    if (durable !== false) await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a rename or removal survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
