import { fileOf, idOf, type ConfFolder } from "./conf-folder.ts";
import { VERSION_FILE } from "./config-version.ts";
import type { Change } from "./sift-changes.ts";

/** Files of the folder and their marks, see ConfFolder. */
type Marks = ReadonlyMap<string, string | null>;

/** What the running Nginx is known to have loaded: known only after a reload that was seen complete. */
export type LoadedFiles = {
  /** Null: nothing is known. */
  version(): number | null;
  /** Whether an environment's file has the text that was put into it, as far as that is known. */
  isAsPut(id: string): Promise<boolean>;
  /** A file's text where it is the platform's; null where there is none, or somebody wrote something else. */
  ownText(file: string): Promise<string | null>;
  /** Files that did not come from here, or have another text than the platform's; those of `changes` aside. */
  suspects(changes: readonly Change[]): Promise<string[]>;
  /** Whether the folder, of which `present` are the names, and the running Nginx already hold just this. */
  holds(change: Change, present: ReadonlySet<string>): boolean;
  /** Whether a file is what was loaded under its name. */
  has(file: string, mark: string | null): boolean;
  /**
   * Whether there is no need to have Nginx test what is in the folder: it has loaded all of it before. Files that went
   * break nothing: none refers to another.
   */
  isTested(marks: Marks): boolean;
  /** Whether a file of somebody else's that was loaded is there no more. */
  hasLost(marks: Marks): boolean;
  forget(): void;
  /** `marks` from before the test, so that what somebody writes meanwhile is not taken for what was tested. */
  note(version: number, marks: Marks, changes: readonly Change[]): void;
};

/** `isOwn` tells by a file's text alone whether the platform wrote it. */
export function createLoadedFiles(folder: ConfFolder, isOwn: (file: string, text: string) => boolean): LoadedFiles {
  let known: { version: number; marks: Marks; texts: Map<string, string> } | null = null;

  function has(file: string, mark: string | null): boolean {
    return mark !== null && known?.marks.get(file) === mark;
  }

  async function isAsPut(id: string): Promise<boolean> {
    const text = known?.texts.get(fileOf(id));
    return text === undefined || (await folder.read(fileOf(id))) === text;
  }

  /** What was put is known for certain; what was put by a former platform shows by its text. */
  function isOurs(file: string, text: string): boolean {
    const put = known?.texts.get(file);
    return put === undefined ? isOwn(file, text) : put === text;
  }

  async function isSuspect(name: string, mark: string | null): Promise<boolean> {
    if (mark === null || isForeign(name)) return true;
    const text = name === VERSION_FILE ? null : await folder.read(name);
    return text !== null && text !== "" && !isOurs(name, text);
  }

  return {
    version: () => known?.version ?? null,
    isAsPut,
    async ownText(file) {
      const text = await folder.read(file);
      return text !== null && isOurs(file, text) ? text : null;
    },
    async suspects(changes) {
      const own = new Set(changes.map(({ file }) => file));
      const others = [...folder.marksNow()].filter(([name]) => !own.has(name));
      const suspected = await Promise.all(others.map(([name, mark]) => isSuspect(name, mark)));
      return others.filter((_, index) => suspected[index]).map(([name]) => name);
    },
    holds({ file, text, previous }, present) {
      if (known === null) return false;
      if (text === null) return !present.has(file) && !known.marks.has(file);
      return previous === text && known.texts.get(file) === text;
    },
    has,
    isTested: (marks) => known !== null && [...marks].every(([file, mark]) => file === VERSION_FILE || has(file, mark)),
    hasLost: (marks) => hasForeignGone(known?.marks ?? new Map(), marks),
    forget() {
      known = null;
    },
    note(version, marks, changes) {
      const texts = new Map([...(known?.texts ?? [])].filter(([file]) => marks.has(file)));
      for (const { file, text } of changes) {
        if (text !== null) texts.set(file, text);
      }
      known = { version, marks, texts };
    },
  };
}

/** Whether somebody else's file that was there before is not there now. */
export function hasForeignGone(before: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): boolean {
  return [...before.keys()].some((name) => isForeign(name) && !now.has(name));
}

/** Neither an environment's file nor the version's. */
export function isForeign(name: string): boolean {
  return idOf(name) === null && name !== VERSION_FILE;
}
