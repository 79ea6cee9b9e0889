import type { Archive } from "../../domain/archive-rule.ts";
import type { ArchiveStore } from "../../store/archive/archive-store.ts";

/** An ArchiveStore without a disk; `archives` is what it holds now, for tests to change. */
export function createFakeArchiveStore(): ArchiveStore & { archives: Archive[] } {
  const store = {
    archives: [] as Archive[],
    list: async () => store.archives.map((archive) => ({ ...archive })),
    async remove(id: string) {
      store.archives = store.archives.filter((archive) => archive.id !== id);
    },
  };
  return store;
}
