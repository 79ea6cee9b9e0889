import { access } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, makeFolder, storageError, writeFileAtomic } from "../../kernel/atomic-file.ts";
import { assertEnvironmentId } from "../files/assert-id.ts";
import type { EnvironmentStore } from "../store.ts";

/** Empty, since a full disk still takes an empty file. */
const MARK = ".sandbox";
const NOTE = `The state file of this environment was lost, so the platform leaves alone what belongs to it. Put the file
back into the folder above and restart the platform; or delete this one to give the environment up.
`;

/** Tells a state folder that the platform has used from an empty one that took its place, such as a mount that is not up. */
export type FolderMark = Pick<EnvironmentStore, "doubt" | "noteLost"> & {
  /** Looks at the folder at start; `found`: how many state files there are. */
  look(found: number): Promise<void>;
  /** These environments are set aside; should the folder be taken away, they still are. */
  remember(ids: readonly string[]): void;
  /** Puts the mark back, and the notes, where the folder was taken away under the running platform. */
  restore(): Promise<void>;
};

/** `quarantine`: where notes of lost files are kept, `<id>.json.lost`. */
export function createFolderMark(folder: string, quarantine: string): FolderMark {
  const mark = join(folder, MARK);
  let doubt: ReturnType<FolderMark["doubt"]> = null;
  let remembered: readonly string[] = [];

  async function keep(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await makeFolder(quarantine);
    for (const id of ids) {
      assertEnvironmentId(id, "set aside environment");
      await writeFileAtomic(join(quarantine, `${id}.json.lost`), NOTE, { mode: 0o600 });
    }
    doubt = null;
    await makeFolder(folder);
    await writeFileAtomic(mark, "").catch(() => {}); // looked at again every minute
  }

  return {
    async look(found) {
      if (found === 0) doubt = (await exists(mark)) ? "files" : "folder";
    },
    doubt: () => doubt,
    noteLost: keep,
    remember(ids) {
      remembered = ids;
    },
    async restore() {
      if (doubt === null && !(await exists(mark))) await keep(remembered);
    },
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw storageError("look at file", path, error);
  }
}
