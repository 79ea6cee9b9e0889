import type { Archive } from "../../domain/archive-rule.ts";

/** The logs of destroyed environments, an archive each. Failures are `storage_failed`. */
export interface ArchiveStore {
  list(): Promise<Archive[]>;
  /** Succeeds also where there is none. A reader that has its files open reads on. */
  remove(id: string): Promise<void>;
}
