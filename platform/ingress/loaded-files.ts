import { fileOf, idOf, type ConfFolder } from "./conf-folder.ts";
import { GENERATION_FILE } from "./generation.ts";
import type { Change } from "./sift-changes.ts";

/** Files of the folder and their marks, see ConfFolder. */
type Marks = ReadonlyMap<string, string | null>;

/** What the running Nginx is known to have loaded: known only after a reload that was seen complete. */
export type LoadedFiles = {
  /** Null: nothing is known. */
  generation(): number | null;
  /** Whether an environment's file has the text that was put into it, as far as that is known. */
  isAsPut(id: string): Promise<boolean>;
  /** Files that did not come from here, or have another text than what was put into them; those of `changes` aside. */
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
  forget(): void;
  /** `marks` from before the test, so that what somebody writes meanwhile is not taken for what was tested. */
  note(generation: number, marks: Marks, changes: readonly Change[]): void;
};

export function createLoadedFiles(folder: ConfFolder): LoadedFiles {
  let known: { generation: number; marks: Marks; texts: Map<string, string> } | null = null;

  function has(file: string, mark: string | null): boolean {
    return mark !== null && known?.marks.get(file) === mark;
  }

  async function isAsPut(id: string): Promise<boolean> {
    const text = known?.texts.get(fileOf(id));
    return text === undefined || (await folder.read(fileOf(id))) === text;
  }

  return {
    generation: () => known?.generation ?? null,
    isAsPut,
    async suspects(changes) {
      const ids = await folder.ids();
      const spoilt = await Promise.all(ids.map(async (id) => ((await isAsPut(id)) ? [] : [fileOf(id)])));
      const own = new Set(changes.map(({ file }) => file));
      return [...(await folder.names()).filter(isForeign), ...spoilt.flat()].filter((name) => !own.has(name));
    },
    holds({ file, text, previous }, present) {
      if (known === null) return false;
      if (text === null) return !present.has(file) && !known.marks.has(file);
      return previous === text && known.texts.get(file) === text;
    },
    has,
    isTested: (marks) =>
      known !== null && [...marks].every(([file, mark]) => file === GENERATION_FILE || has(file, mark)),
    forget() {
      known = null;
    },
    note(generation, marks, changes) {
      const texts = new Map([...(known?.texts ?? [])].filter(([file]) => marks.has(file)));
      for (const { file, text } of changes) {
        if (text !== null) texts.set(file, text);
      }
      known = { generation, marks, texts };
    },
  };
}

/** Neither an environment's file nor the generation's. */
export function isForeign(name: string): boolean {
  return idOf(name) === null && name !== GENERATION_FILE;
}
