import { randomUUID } from "node:crypto";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Archive } from "../../domain/archive-rule.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { storageError } from "../../kernel/atomic-file.ts";
import { assertEnvironmentId } from "../files/assert-id.ts";
import { isAbsence, listFolder } from "../files/read-files.ts";
import type { ArchiveStore } from "./archive-store.ts";

/** The prefix of archives that are being removed. No id begins like it. */
const LEAVING = ".leaving-";

/** The archives below `<folder>/archived`. */
export function createDiskArchiveStore({ folder }: { folder: string }): ArchiveStore {
  const place = join(folder, "archived");
  // An archive is hardly ever written to again, so it is measured once, not every minute.
  const measured = new Map<string, Archive>();

  async function measure(id: string): Promise<Archive | null> {
    const known = measured.get(id);
    if (known !== undefined) return known;
    const archive = await measureFolder(id, join(place, id));
    if (archive !== null) measured.set(id, archive);
    return archive;
  }

  return {
    async list() {
      try {
        const present = await listFolder(place);
        // A platform that was killed left these half removed.
        const leaving = present.filter((name) => name.startsWith(LEAVING));
        await Promise.all(leaving.map((name) => rm(join(place, name), { recursive: true, force: true })));
        const ids = new Set(present.filter(isEnvironmentId));
        for (const id of measured.keys()) if (!ids.has(id)) measured.delete(id);
        const archives: Archive[] = [];
        for (const id of ids) {
          const archive = await measure(id);
          if (archive !== null) archives.push(archive);
        }
        return archives;
      } catch (error) {
        throw storageError("list archives in", place, error);
      }
    },
    async remove(id) {
      assertEnvironmentId(id, "remove archive");
      const leaving = join(place, `${LEAVING}${randomUUID()}`);
      try {
        // No reader finds half of an archive; a reader that has its files open reads on.
        await rename(join(place, id), leaving);
        measured.delete(id);
        await rm(leaving, { recursive: true, force: true });
      } catch (error) {
        if (!isAbsence(error)) throw storageError("remove archive", join(place, id), error);
      }
    },
  };
}

/** Null when there is no such folder. */
async function measureFolder(id: string, path: string): Promise<Archive | null> {
  try {
    const files = await Promise.all((await readdir(path)).map((name) => stat(join(path, name))));
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const lastWritten =
      files.length === 0 ? (await stat(path)).mtimeMs : Math.max(...files.map((file) => file.mtimeMs));
    return { id, bytes, lastWritten };
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}
