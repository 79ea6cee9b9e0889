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
/** Holds an empty file for each route that is open; Nginx looks for it with every request. */
export const ENABLED_FOLDER = "enabled";
/** There while Nginx reloads: every answer is its connection's last. */
export const RELOAD_MARK = ".reloading";
/** Files that are made to see whether Nginx has this very folder, and removed at once. */
export const SIGHT_PREFIX = ".seen-";

/**
 * The folder that nginx.conf includes `*.conf` from. Names are plain file names in it. Nothing is
 * fsynced: routes are put again at every start. One that somebody removed is made anew. Failures are `storage_failed`.
 */
export type ConfFolder = {
  /** A file's text; null when it is absent or is no file. */
  read(name: string): Promise<string | null>;
  write(name: string, text: string): Promise<void>;
  /** Replaces a text by one of about its length, in place where the disk is too full for a second file. */
  rewrite(name: string, text: string): Promise<void>;
  /**
   * Makes an empty file, and the folder it is in where that is missing, or something else is in its place; there already
   * is fine. Needs next to no room.
   */
  touch(name: string): Promise<void>;
  /** Takes a file away, whatever it is; none is fine. */
  remove(name: string): Promise<void>;
  /** Clears the half-written files that a killed process left. */
  sweep(): Promise<void>;
  has(name: string): Promise<boolean>;
  /** Moves a file out of Nginx's sight, never over another one; returns where to, relative to the folder. Who waits for it is let go. */
  setAside(name: string, now: number): Promise<string>;
  /** Moves a file that was set aside back to where it was; it stays where another one has its name by now, or it is gone. */
  putBack(name: string, place: string): Promise<void>;
  /** Every name that Nginx includes. */
  names(): Promise<string[]>;
  /** The same at this very instant, for whoever compares it with what else is true now. */
  namesNow(): string[];
  /**
   * Each of these names with a mark that differs once somebody writes another file there, or into it; null for what
   * is no plain file: Nginx would wait for ever to read a pipe.
   */
  marksNow(): Map<string, string | null>;
  /** Ids that have a file with something in it: a power cut can leave empty ones. */
  ids(): Promise<string[]>;
  /** Ids that have a gate, at this very instant. */
  enabledIds(): string[];
};

/** Opens the folder, making it where it is missing; a killed platform may have left the mark of a reload. */
export function openConfFolder(folder: string): ConfFolder {
  const at = (name: string): string => join(folder, name);
  makeNow();
  for (const name of listNow().filter((name) => name === RELOAD_MARK || name.startsWith(SIGHT_PREFIX))) {
    try {
      rmSync(at(name));
    } catch {
      // One that stays only costs clients a connection for each request.
    }
  }

  function makeNow(): void {
    try {
      mkdirSync(folder, { recursive: true });
      for (const path of [folder, at(ENABLED_FOLDER)]) if (existsSync(path)) letOthersIn(path);
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

  const namesNow = (): string[] => listNow().filter(isIncluded);

  /** In one go, so that of two who find something else in the folder's place the second does not move the new folder. */
  function makeFolderFor(name: string): void {
    const parent = dirname(at(name));
    const inTheWay = lstatSync(parent, { throwIfNoEntry: false });
    if (inTheWay !== undefined && !statSync(parent, { throwIfNoEntry: false })?.isDirectory()) {
      mkdirSync(at(REJECTED_FOLDER), { recursive: true });
      renameSync(parent, at(join(REJECTED_FOLDER, `${basename(parent)}.${stampOf(Date.now())}.${inTheWay.ino}`)));
    }
    mkdirSync(parent, { recursive: true });
    letOthersIn(parent);
  }

  async function setAside(name: string, now: number): Promise<string> {
    const stamp = stampOf(now);
    for (let n = 0; ; n++) {
      const place = join(REJECTED_FOLDER, n === 0 ? `${name}.${stamp}` : `${name}.${stamp}.${n}`);
      if (await exists(at(place))) continue;
      await moveFile(at(name), at(place));
      await letReadersGo(at(place));
      return place;
    }
  }

  const write = (name: string, text: string) => writeFileAtomic(at(name), text, { durable: false });

  return {
    async read(name) {
      try {
        // Whoever reads a pipe may wait for ever.
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
      if (facts !== null && typeof facts !== "string" && facts.isDirectory()) await setAside(name, Date.now());
      else await removeFile(at(name), { durable: false });
    },
    sweep: async () => void (await sweepTemporaryFiles(folder)),
    has: (name) => exists(at(name)),
    setAside,
    async putBack(name, place) {
      // In one go with the look, so that nothing is overwritten.
      try {
        if (lstatSync(at(name), { throwIfNoEntry: false }) === undefined) renameSync(at(place), at(name));
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw storageError("move file", at(place), error);
      }
    },
    names: async () => namesNow(),
    namesNow,
    marksNow: () => new Map(namesNow().map((name) => [name, markOf(at(name))])),
    async ids() {
      const named = namesNow()
        .map(idOf)
        .filter((id) => id !== null);
      const full = await Promise.all(named.map((id) => holdsText(at(fileOf(id)))));
      return named.filter((_, index) => full[index]);
    },
    enabledIds() {
      try {
        const entries = readdirSync(at(ENABLED_FOLDER), { withFileTypes: true });
        return entries.filter((entry) => entry.isFile() && isEnvironmentId(entry.name)).map(({ name }) => name);
      } catch (error) {
        // What somebody put in the folder's place makes way with the next gate: until then none is open.
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

/** Lets requests through to an environment while it is there. */
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

/** Nginx's workers, who are nobody, look for gates and marks; a strict umask would keep them out. */
function letOthersIn(folder: string): void {
  const { mode } = statSync(folder);
  if ((mode & 0o005) !== 0o005) chmodSync(folder, (mode & 0o7777) | 0o055);
}

/** Needs no room beyond what the file has. Whoever reads meanwhile may see half of it. */
async function writeInPlace(path: string, text: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(text, 0);
    await file.truncate(Buffer.byteLength(text));
  } finally {
    await file.close();
  }
}

function stampOf(now: number): string {
  return new Date(now).toISOString().replaceAll(":", "-");
}

/** Of the file that a link leads to, since Nginx follows it too. */
function markOf(path: string): string | null {
  try {
    const facts = statSync(path);
    return facts.isFile() ? [facts.ino, facts.size, facts.mtimeMs, facts.ctimeMs].join(" ") : null;
  } catch {
    return null;
  }
}

/** Whoever opened a pipe for reading, such as Nginx its configuration, waits until somebody opens it for writing. */
async function letReadersGo(path: string): Promise<void> {
  if (!(await lstat(path)).isFIFO()) return;
  const pipe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => null); // ENXIO: nobody reads
  await pipe?.close();
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function holdsText(path: string): Promise<boolean> {
  return lstat(path).then(
    (facts) => facts.isFile() && facts.size > 0,
    () => false,
  );
}
