import {
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { lstat, open, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import {
  errnoOf,
  moveFile,
  removeFile,
  storageError,
  sweepTemporaryFiles,
  writeFileAtomic,
} from "../../kernel/atomic-file.ts";

const EXTENSION = ".conf";
/** Misses `*.conf`, so Nginx reads nothing in it. */
const REJECTED_FOLDER = "rejected";
/** Holds an empty file, the enabled flag, for each route that takes requests; Nginx looks for it with every request. */
export const ENABLED_FOLDER = "enabled";
/** There while Nginx reloads: every answer is its connection's last. */
export const RELOAD_MARK = ".reloading";

/**
 * The folder that nginx.conf includes `*.conf` from. Names are plain file names in it. Nothing is fsynced: routes are
 * written again at every start. A folder that was removed is made anew. Failures are `storage_failed`.
 */
export type ConfFolder = {
  /** A file's text; null when it is absent or is no file. */
  read(name: string): Promise<string | null>;
  write(name: string, text: string): Promise<void>;
  /** Replaces a text by one of about its length, in place where the disk is too full for a second file. */
  rewrite(name: string, text: string): Promise<void>;
  /** Makes an empty file, and quarantines a file in the place of its folder. Needs next to no disk space. */
  touch(name: string): Promise<void>;
  /** Removes a file; a folder in its place is quarantined. Absent is fine. */
  remove(name: string): Promise<void>;
  /** Clears the half-written files that a killed process left. */
  sweep(): Promise<void>;
  /**
   * Moves a file to `rejected/`, where Nginx reads nothing, and never over another one. A process that waits to read
   * it, as Nginx does with a pipe, is let go. Returns whether the file was there.
   */
  quarantine(name: string): Promise<boolean>;
  /**
   * Every name that Nginx includes at this very instant, with a fingerprint that changes once the file is written or
   * replaced; null for what is no plain file, such as a pipe, which Nginx would wait for ever to read.
   */
  fingerprints(): Map<string, string | null>;
  /** Ids that have an enabled flag, at this very instant. */
  enabledIds(): string[];
};

/** Opens the folder, making it where it is missing, and removes the reload mark that a killed platform may have left. */
export function openConfFolder(folder: string): ConfFolder {
  const at = (name: string): string => join(folder, name);
  makeNow();
  try {
    rmSync(at(RELOAD_MARK), { force: true });
  } catch {
    // One that stays only costs clients a connection for each request.
  }

  function makeNow(): void {
    try {
      mkdirSync(folder, { recursive: true });
      for (const path of [folder, at(ENABLED_FOLDER)]) if (existsSync(path)) openToWorkers(path);
    } catch (error) {
      throw storageError("make folder", folder, error);
    }
  }

  function listNow(): string[] {
    try {
      return readdirSync(folder);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw storageError("list folder", folder, error);
      makeNow();
      return [];
    }
  }

  /** Synchronous, so that of two callers that find something in the folder's place the second does not move the folder. */
  function makeFolderFor(name: string): void {
    const parent = dirname(at(name));
    const obstacle = lstatSync(parent, { throwIfNoEntry: false });
    if (obstacle !== undefined && !statSync(parent, { throwIfNoEntry: false })?.isDirectory()) {
      mkdirSync(at(REJECTED_FOLDER), { recursive: true });
      renameSync(parent, at(join(REJECTED_FOLDER, `${basename(parent)}.${timestamp()}.${obstacle.ino}`)));
    }
    mkdirSync(parent, { recursive: true });
    openToWorkers(parent);
  }

  async function quarantine(name: string): Promise<boolean> {
    const stamp = timestamp();
    for (let n = 0; ; n++) {
      const place = at(join(REJECTED_FOLDER, n === 0 ? `${name}.${stamp}` : `${name}.${stamp}.${n}`));
      if (await exists(place)) continue;
      try {
        await moveFile(at(name), place);
      } catch (error) {
        if (error instanceof Error && errnoOf(error.cause) === "ENOENT") return false;
        throw error;
      }
      await unblockFifo(place);
      return true;
    }
  }

  const write = (name: string, text: string) => writeFileAtomic(at(name), text, { durable: false });

  return {
    async read(name) {
      try {
        // Reading a pipe may never end.
        return (await stat(at(name))).isFile() ? await readFile(at(name), "utf8") : null;
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return null;
        throw storageError("read file", at(name), error);
      }
    },
    write,
    async rewrite(name, text) {
      try {
        await write(name, text);
      } catch (error) {
        await writeInPlace(at(name), text).catch(() => Promise.reject(error)); // the first failure is the one to tell
      }
    },
    async touch(name) {
      try {
        await writeFile(at(name), "").catch(async (error: unknown) => {
          if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "ENOTDIR") throw error;
          makeFolderFor(name);
          await writeFile(at(name), "");
        });
      } catch (error) {
        throw storageError("make file", at(name), error);
      }
    },
    async remove(name) {
      const facts = await lstat(at(name)).catch(errnoOf);
      // Nothing can be in a folder that is none.
      if (facts === "ENOTDIR") return;
      if (facts !== null && typeof facts !== "string" && facts.isDirectory()) await quarantine(name);
      else await removeFile(at(name), { durable: false });
    },
    sweep: async () => void (await sweepTemporaryFiles(folder)),
    quarantine,
    fingerprints: () =>
      new Map(listNow().flatMap((name) => (isIncluded(name) ? [[name, fingerprintOf(at(name))]] : []))),
    enabledIds() {
      try {
        const entries = readdirSync(at(ENABLED_FOLDER), { withFileTypes: true });
        return entries.filter((entry) => entry.isFile() && isEnvironmentId(entry.name)).map(({ name }) => name);
      } catch (error) {
        // The next flag has a file in the folder's place quarantined: until then no route is enabled.
        if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
        throw storageError("list folder", at(ENABLED_FOLDER), error);
      }
    },
  };
}

/** The file of an environment. */
export function fileOf(id: string): string {
  return `${id}${EXTENSION}`;
}

/** An environment's enabled flag. */
export function flagOf(id: string): string {
  return `${ENABLED_FOLDER}/${id}`;
}

/** The environment a file belongs to; null when it is none's. */
export function idOf(name: string): string | null {
  const id = name.slice(0, -EXTENSION.length);
  return name.endsWith(EXTENSION) && isEnvironmentId(id) ? id : null;
}

/** As `include *.conf` sees it: glob(7) passes over names that begin with a dot. */
function isIncluded(name: string): boolean {
  return name.endsWith(EXTENSION) && !name.startsWith(".");
}

/** Nginx's workers, whose user is `nobody`, look for flags and the reload mark; a strict umask would keep them out. */
function openToWorkers(folder: string): void {
  const { mode } = statSync(folder);
  if ((mode & 0o005) !== 0o005) chmodSync(folder, (mode & 0o7777) | 0o055);
}

/** Needs no room beyond what the file has. A reader may meanwhile see half of the text. */
async function writeInPlace(path: string, text: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(text, 0);
    await file.truncate(Buffer.byteLength(text));
  } finally {
    await file.close();
  }
}

function timestamp(): string {
  return new Date().toISOString().replaceAll(":", "-");
}

/** Of the file that a link leads to, since Nginx follows it too. */
function fingerprintOf(path: string): string | null {
  try {
    const facts = statSync(path);
    return facts.isFile() ? [facts.ino, facts.size, facts.mtimeMs, facts.ctimeMs].join(" ") : null;
  } catch {
    return null;
  }
}

/** A process that opened a pipe for reading waits until it is opened for writing. */
async function unblockFifo(path: string): Promise<void> {
  if (!(await lstat(path)).isFIFO()) return;
  const pipe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => null); // ENXIO: it has no reader
  await pipe?.close();
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
