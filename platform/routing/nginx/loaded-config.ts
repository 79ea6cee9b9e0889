import type { Change } from "./change-queue.ts";

/** Files of the folder with their fingerprints, see ConfFolder. */
type Fingerprints = ReadonlyMap<string, string | null>;

/** What the running Nginx is known to have loaded: known only after a reload that was seen complete. */
export type LoadedConfig = {
  /** Null: nothing is known. */
  version(): number | null;
  /** Whether the folder, of which `now` are the fingerprints, and the running Nginx already hold just this. */
  isUpToDate(change: Change, now: Fingerprints): boolean;
  /** Whether a file is still the one that was loaded under its name. */
  isUnchanged(file: string, fingerprint: string | null): boolean;
  forget(): void;
  /** `fingerprints` are the folder's from before the reload. */
  note(version: number, fingerprints: Fingerprints): void;
};

export function createLoadedConfig(): LoadedConfig {
  let loaded: { version: number; fingerprints: Fingerprints } | null = null;

  function isUnchanged(file: string, fingerprint: string | null): boolean {
    return fingerprint !== null && loaded?.fingerprints.get(file) === fingerprint;
  }

  return {
    version: () => loaded?.version ?? null,
    isUpToDate({ file, text, previous }, now) {
      if (text !== null) return previous === text && isUnchanged(file, now.get(file) ?? null);
      return loaded !== null && !now.has(file) && !loaded.fingerprints.has(file);
    },
    isUnchanged,
    forget() {
      loaded = null;
    },
    note(version, fingerprints) {
      loaded = { version, fingerprints };
    },
  };
}
