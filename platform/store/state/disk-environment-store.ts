import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "../../kernel/errors.ts";
import { errnoOf, makeFolder, removeFile, sweepTemporaryFiles, writeFileAtomic } from "../../kernel/atomic-file.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import { createKeyedLock } from "../../kernel/keyed-lock.ts";
import { assertEnvironmentId } from "../files/assert-id.ts";
import { listFolder } from "../files/read-files.ts";
import { findStateFiles, moveToQuarantine, QUARANTINE } from "./quarantine.ts";
import { createRecordMemory } from "./record-memory.ts";
import { readSentinel, writeSentinel } from "./state-dir-sentinel.ts";
import { formatStateFile, parseStateFile, type ParsedStateFile } from "./state-file.ts";
import type { EnvironmentStore } from "./environment-store.ts";

const SUFFIX = ".json";
/** Without the suffix of state files, so that a probe file that a killed process left is not read as one. */
const PROBE_FILE = ".write-check";
/** Not empty, since a full disk still takes an empty file. */
const PROBE_TEXT = "x".repeat(4096);
/** State files hold the environment variables that callers give, so only the platform's user may read them. */
const MODE = 0o600;
/** Far above the size of any record. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

type Quarantined = { file: string; reason: string };

/** State files `<folder>/<id>.json`, all in memory. A file that holds no record is moved to `<folder>/quarantine/`. */
export function createDiskEnvironmentStore({
  folder,
  clock = systemClock,
}: {
  folder: string;
  clock?: Clock;
}): EnvironmentStore {
  const memory = createRecordMemory();
  // Held while an id's file is written or removed, so that memory changes in the order of the disk.
  const lock = createKeyedLock();
  // As it was at the start.
  let sentinel: string | null = null;
  const pathOf = (id: string) => join(folder, `${id}${SUFFIX}`);

  async function isDamaged(id: string): Promise<boolean> {
    if (memory.get(id) === null) return false; // removed while this waited
    return !("record" in (await readStateFile(folder, `${id}${SUFFIX}`)));
  }

  return {
    async load() {
      const names = await prepareFolder(folder);
      sentinel = await readSentinel(folder);
      const quarantined: Quarantined[] = [];
      for (const file of names) {
        const parsed = await readStateFile(folder, file);
        if ("record" in parsed) memory.put(parsed.record);
        else
          quarantined.push({
            file,
            reason: parsed.left ? parsed.reason : await moveToQuarantine(folder, file, parsed.reason, clock),
          });
      }
      return { loaded: names.length - quarantined.length, quarantined };
    },
    all: memory.all,
    get: memory.get,
    save(record) {
      return lock.run(record.id, async () => {
        const text = formatStateFile(record);
        await makeFolder(folder); // it may have been removed
        await writeFileAtomic(pathOf(record.id), text, { mode: MODE });
        memory.put(record);
      });
    },
    async remove(id) {
      assertEnvironmentId(id, "remove environment");
      await lock.run(id, async () => {
        await removeFile(pathOf(id));
        memory.delete(id);
      });
    },
    async quarantined() {
      const found = await findStateFiles(folder, join(folder, QUARANTINE));
      return found.filter(({ id }) => memory.get(id) === null);
    },
    async damaged() {
      const looked = memory.all().map(({ id }) => lock.run(id, async () => ((await isDamaged(id)) ? id : null)));
      return (await Promise.all(looked)).filter((id) => id !== null);
    },
    async restoreSentinel() {
      if (sentinel !== null && (await readSentinel(folder)) === null) await writeSentinel(folder, sentinel);
    },
    async check() {
      const probe = join(folder, PROBE_FILE);
      try {
        await makeFolder(folder);
        await writeFileAtomic(probe, PROBE_TEXT, { mode: MODE, durable: false });
        await removeFile(probe);
        return { ok: true, detail: "the state folder can be written to" };
      } catch (error) {
        return { ok: false, detail: describeError(error) };
      }
    },
  };
}

/** Makes the folder, clears half-written files and returns the names of the state files in a stable order. */
async function prepareFolder(folder: string): Promise<string[]> {
  await makeFolder(folder);
  await sweepTemporaryFiles(folder);
  return (await listFolder(folder)).filter((name) => name.endsWith(SUFFIX)).sort();
}

/** `left`: the file cannot be read, so it stays where it is. */
async function readStateFile(folder: string, file: string): Promise<ParsedStateFile & { left?: boolean }> {
  const path = join(folder, file);
  try {
    const facts = await stat(path);
    if (!facts.isFile()) return { reason: "is not a file; left where it is", left: true };
    if (facts.size > MAX_FILE_BYTES) return { reason: `is too large (${facts.size} bytes)` };
    return parseStateFile(file.slice(0, -SUFFIX.length), await readFile(path, "utf8"));
  } catch (error) {
    return { reason: `cannot be read (${errnoOf(error) ?? describeError(error)}); left where it is`, left: true };
  }
}
