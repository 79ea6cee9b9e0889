import type { Archive } from "../../domain/archive-rule.ts";

/** Logs of destroyed environments, as a whole each. Failures are `storage_failed`. */
export interface ArchiveStore {
  list(): Promise<Archive[]>;
  /** None is fine. Whoever is reading it reads on. */
  remove(id: string): Promise<void>;
}
