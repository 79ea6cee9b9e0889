import { mkdirSync, readdirSync, unlinkSync } from "node:fs";
import { lstat, mkdir, open, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isEnvironmentId } from "../domain/ids.ts";
import {
  errnoOf,
  moveFile,
  removeFile,
  storageError,
  sweepTemporaryFiles,
  writeFileAtomic,
} from "../runtime/atomic-file.ts";

const EXTENSION = ".conf";
/** Misses `*.conf`, so Nginx reads nothing in it. */
const REJECTED_FOLDER = "rejected";
/** Holds an empty file for each route that is open; Nginx looks for it with every request. */
export const GATE_FOLDER = "live";
/** There while Nginx reloads: every answer is its connection's last. */
export const RELOAD_MARK = ".reloading";

/**
 * The folder that nginx.conf includes `*.conf` from. Names are plain file names in it. Nothing is
 * fsynced: routes are put again at every start. Failures are `storage_failed`.
 */
export type ConfFolder = {
  /** A file's text; null when it is absent or is no file. */
  read(name: string): Promise<string | null>;
  write(name: string, text: string): Promise<void>;
  /** Replaces a text by one of about its length, in place where the disk is too full for a second file. */
  rewrite(name: string, text: string): Promise<void>;
  /** Makes an empty file, and the folder in it where that is missing; there already is fine. Needs next to no room. */
  touch(name: string): Promise<void>;
  /** Takes a file away, whatever it is; none is fine. */
  remove(name: string): Promise<void>;
  /** Clears the half-written files that a killed process left. */
  sweep(): Promise<void>;
  /** Moves a file out of Nginx's sight, never over another one; returns where to, relative to the folder. */
  setAside(name: string, now: number): Promise<string>;
  /** Every name that Nginx includes. */
  names(): Promise<string[]>;
  /** The same at this very instant, for whoever compares it with what else is true now. */
  namesNow(): string[];
  /** Ids that have a file with something in it: a power cut can leave empty ones. */
  ids(): Promise<string[]>;
  /** Ids that have a gate, at this very instant. */
  gatesNow(): string[];
};

/** Opens the folder, making it where it is missing; a killed platform may have left the mark of a reload. */
export function openConfFolder(folder: string): ConfFolder {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw storageError("make folder", folder, error);
  }
  const at = (name: string): string => join(folder, name);
  try {
    unlinkSync(at(RELOAD_MARK));
  } catch {
    // Most often there is none; one that stays only costs clients a connection for each request.
  }

  async function setAside(name: string, now: number): Promise<string> {
    const stamp = new Date(now).toISOString().replaceAll(":", "-");
    for (let n = 0; ; n++) {
      const place = join(REJECTED_FOLDER, n === 0 ? `${name}.${stamp}` : `${name}.${stamp}.${n}`);
      if (await exists(at(place))) continue;
      await moveFile(at(name), at(place));
      return place;
    }
  }

  async function names(): Promise<string[]> {
    try {
      return (await readdir(folder)).filter(isIncluded);
    } catch (error) {
      throw storageError("list folder", folder, error);
    }
  }

  const write = (name: string, text: string) => writeFileAtomic(at(name), text, { durable: false });

  return {
    async read(name) {
      try {
        return await readFile(at(name), "utf8");
      } catch (error) {
        const code = errnoOf(error);
        if (code === "ENOENT" || code === "EISDIR") return null;
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
          if (errnoOf(error) !== "ENOENT") throw error;
          await mkdir(dirname(at(name)), { recursive: true });
          await writeFile(at(name), "");
        });
      } catch (error) {
        throw storageError("make file", at(name), error);
      }
    },
    async remove(name) {
      const isFolder = await lstat(at(name)).then(
        (facts) => facts.isDirectory(),
        () => false,
      );
      if (isFolder) await setAside(name, Date.now());
      else await removeFile(at(name), { durable: false });
    },
    sweep: async () => void (await sweepTemporaryFiles(folder)),
    setAside,
    names,
    namesNow() {
      try {
        return readdirSync(folder).filter(isIncluded);
      } catch (error) {
        throw storageError("list folder", folder, error);
      }
    },
    async ids() {
      const named = (await names()).map(idOf).filter((id) => id !== null);
      const full = await Promise.all(named.map((id) => holdsText(at(fileOf(id)))));
      return named.filter((_, index) => full[index]);
    },
    gatesNow() {
      try {
        const entries = readdirSync(at(GATE_FOLDER), { withFileTypes: true });
        return entries.filter((entry) => entry.isFile() && isEnvironmentId(entry.name)).map(({ name }) => name);
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return [];
        throw storageError("list folder", at(GATE_FOLDER), error);
      }
    },
  };
}

/** The file of an environment. */
export function fileOf(id: string): string {
  return `${id}${EXTENSION}`;
}

/** Lets requests through to an environment while it is there. */
export function gateOf(id: string): string {
  return `${GATE_FOLDER}/${id}`;
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
