import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { removeFile, storageError, sweepTemporaryFiles, writeFileAtomic } from "../../kernel/atomic-file.ts";
import { assertEnvironmentId } from "../files/assert-id.ts";
import { parseAs } from "../files/parse-as.ts";
import { listFolder, readText } from "../files/read-files.ts";
import type { SecretStore } from "./secret-store.ts";

const SUFFIX = ".json";
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

const SecretsSchema = z.record(z.string(), z.string());

/**
 * Secrets in `<folder>/<id>.json`, apart from the state files, which people copy and attach to reports. Keeps nothing
 * in memory.
 */
export function createDiskSecretStore({ folder }: { folder: string }): SecretStore {
  const pathOf = (id: string) => {
    assertEnvironmentId(id, "keep secrets of");
    return join(folder, `${id}${SUFFIX}`);
  };

  return {
    async save(id, secrets) {
      const path = pathOf(id);
      await prepareFolder(folder);
      await writeFileAtomic(path, `${JSON.stringify(secrets)}\n`, { mode: FILE_MODE });
    },
    read: (id) => readSecrets(pathOf(id)),
    async remove(id) {
      await removeFile(pathOf(id));
    },
    async list() {
      const names = await listFolder(folder);
      if (names.length > 0) await sweepTemporaryFiles(folder);
      return names
        .filter((name) => name.endsWith(SUFFIX))
        .map((name) => name.slice(0, -SUFFIX.length))
        .filter(isEnvironmentId);
    },
  };
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    await chmod(folder, FOLDER_MODE); // the umask may have chosen another one, or the folder was there
  } catch (error) {
    throw storageError("make folder", folder, error);
  }
}

async function readSecrets(path: string): Promise<Record<string, string> | null> {
  const text = await readText(path);
  if (text === null) return null;
  const secrets = parseAs(SecretsSchema, text);
  if (secrets !== null) return secrets;
  // Without a cause: a parser's message would quote the file.
  throw new PlatformError(
    "storage_failed",
    `Cannot read file "${path}": it does not hold secrets any more. Destroy its environment and create it anew.`,
  );
}
