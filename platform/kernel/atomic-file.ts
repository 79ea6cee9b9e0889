import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { PlatformError } from "./errors.ts";

/** `durable: false` leaves out the fsyncs: for files that every start writes again. */
export type WriteOptions = { mode?: number; durable?: boolean };

/** Temporary names begin with a dot and end in .tmp, so that `*.conf` and `*.json` never match a half-written file. */
const TEMPORARY_NAME = /^\..+\.[0-9a-f]{16}\.tmp$/;

/** Temporary files that this process is writing: a sweep leaves them alone. */
const inFlight = new Set<string>();

/**
 * Replaces a file as a whole: a reader sees the old content or the new, never a part, after a power cut too when
 * `durable` (the default). The file gets exactly `mode`, independent of the umask; without it, the process's default.
 * Throws `storage_failed`; the former file is then untouched.
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
    await rm(temporary, { force: true }).catch(() => undefined); // the first failure is the one to report
    throw storageError("write file", path, error);
  } finally {
    inFlight.delete(temporary);
  }
}

/** Removes a file, if it exists; after a power cut too when `durable` (the default). Throws `storage_failed`. */
export async function removeFile(path: string, { durable = true }: { durable?: boolean } = {}): Promise<void> {
  try {
    await unlink(path);
    if (durable) await syncFolder(dirname(path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw storageError("remove file", path, error);
  }
}

/** Makes a folder and its missing parents durably, if it does not exist. Throws `storage_failed`. */
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

/** Moves a file or folder durably within one file system, making the target's folder. Throws `storage_failed`. */
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
 * Removes the temporary files that a killed process left in `folder` and returns their names. For the start, before
 * other processes write there; this process's own writes are left alone. Throws `storage_failed`.
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

/** A failed file operation as a catalogued error. `verb` is the operation, such as `read file`. */
export function storageError(verb: string, path: string, error: unknown): PlatformError {
  const code = errnoOf(error);
  const hint = code === "ENOSPC" ? ". Free disk space and try again" : ". Check the disk and the folder's permissions";
  return new PlatformError("storage_failed", `Cannot ${verb} "${path}": ${code ?? String(error)}${hint}.`, {
    cause: error,
  });
}

/** The system's name of a failure, such as ENOENT; null for any other error. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** Random: in a container every process has the id of its killed predecessor, and may find its files. */
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

/** Makes renames and removals in a folder survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
