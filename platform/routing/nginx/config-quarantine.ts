import type { Logger } from "../../kernel/logger.ts";
import { idOf, type ConfFolder } from "./conf-folder.ts";
import { VERSION_FILE } from "./config-version.ts";
import type { LoadedConfig } from "./loaded-config.ts";
import { isGeneratedFor } from "./server-block.ts";

const FOREIGN =
  "the platform did not write this file, and conf.d is the platform's alone: put yours into nginx/extra.d";

/** Files that go from conf.d to `conf.d/rejected/`, each with an event. */
export type ConfigQuarantine = {
  /** Quarantines one file for a reason; returns whether it was there. */
  quarantine(file: string, reason: string): Promise<boolean>;
  /**
   * Quarantines every file that the platform did not write, or that is no plain file, and returns their names. `except`
   * names files that are just being written.
   */
  quarantineForeign(except?: ReadonlySet<string>): Promise<string[]>;
};

type Options = {
  folder: ConfFolder;
  loaded: LoadedConfig;
  logger: Logger | undefined;
  onRejected: ((file: string, reason: string) => void) | undefined;
};

export function createConfigQuarantine({ folder, loaded, logger, onRejected }: Options): ConfigQuarantine {
  async function quarantine(file: string, reason: string): Promise<boolean> {
    if (!(await folder.quarantine(file))) return false;
    logger?.warn({ file, reason }, "quarantined a file of conf.d");
    onRejected?.(file, reason);
    return true;
  }

  async function isForeign(file: string, fingerprint: string | null): Promise<boolean> {
    if (fingerprint === null) return true;
    if (file === VERSION_FILE || loaded.isUnchanged(file, fingerprint)) return false;
    const id = idOf(file);
    if (id === null) return true;
    const text = await folder.read(file);
    return text !== null && !isGeneratedFor(id, text);
  }

  return {
    quarantine,

    async quarantineForeign(except = new Set()) {
      const found: string[] = [];
      for (const [file, fingerprint] of folder.fingerprints()) {
        if (except.has(file) || !(await isForeign(file, fingerprint))) continue;
        if (await quarantine(file, FOREIGN)) found.push(file);
      }
      return found;
    },
  };
}
