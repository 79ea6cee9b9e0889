import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { mayStillLive } from "../../domain/environment/lifetime.ts";
import { checkStateDir, SentinelSchema, type Sentinel, type StateDirFacts } from "../../domain/state-dir-rule.ts";
import { makeFolder, writeFileAtomic } from "../../kernel/atomic-file.ts";
import { parseAs } from "../files/parse-as.ts";
import { readText } from "../files/read-files.ts";
import { findStateFiles, QUARANTINE } from "./quarantine.ts";

/** In the state folder. scripts/down.sh has the name, too. */
const SENTINEL = ".sentinel";

export type StateDirOptions = {
  folder: string;
  /** The file outside of the folder that keeps the folder's id, too. */
  copy: string;
  subnets: Omit<Sentinel, "id">;
  /** Seconds. The environment of a state file that was quarantined before that is over. */
  maxTtl: number;
};

/**
 * Throws an Error that tells the ways out where the platform must not start on the folder: it is another one than
 * before, or its environments were made with other subnets. Changes nothing.
 */
export async function assertStateDir(options: StateDirOptions): Promise<void> {
  await decide(options);
}

/** As assertStateDir, and writes the sentinel file and its copy where they are missing or say something else. */
export async function claimStateDir(options: StateDirOptions): Promise<void> {
  const { facts, sentinel } = await decide(options);
  // The folder first: a platform that is killed in between finds a sentinel without a copy, which it may go on with.
  if (!isDeepStrictEqual(facts.sentinel, sentinel)) {
    await writeSentinel(options.folder, `${JSON.stringify(sentinel)}\n`);
  }
  if (facts.copy === sentinel.id) return;
  await makeFolder(dirname(options.copy));
  await writeFileAtomic(options.copy, `${sentinel.id}\n`);
}

/** The text of a folder's sentinel file, null where there is none. Throws `storage_failed`. */
export function readSentinel(folder: string): Promise<string | null> {
  return readText(join(folder, SENTINEL));
}

/** Writes a folder's sentinel file, and makes the folder if need be. Throws `storage_failed`. */
export async function writeSentinel(folder: string, text: string): Promise<void> {
  await makeFolder(folder);
  await writeFileAtomic(join(folder, SENTINEL), text);
}

async function decide(options: StateDirOptions): Promise<{ facts: StateDirFacts; sentinel: Sentinel }> {
  const [sentinel, copy, environments] = await Promise.all([
    readSentinel(options.folder),
    readText(options.copy),
    findEnvironments(options),
  ]);
  const facts = { sentinel: parseAs(SentinelSchema, sentinel ?? ""), copy: copy?.trim() || null, environments };
  const outcome = checkStateDir(facts, options.subnets, randomUUID());
  if ("refusal" in outcome)
    throw new Error(`Cannot start on the state folder "${options.folder}": ${outcome.refusal}.`);
  return { facts, sentinel: outcome.sentinel };
}

async function findEnvironments({ folder, maxTtl }: StateDirOptions): Promise<string[]> {
  const now = Date.now();
  const quarantined = await findStateFiles(join(folder, QUARANTINE));
  const found = [
    ...(await findStateFiles(folder)),
    ...quarantined.filter(({ since }) => mayStillLive(since, maxTtl, now)),
  ];
  return [...new Set(found.map(({ id }) => id))];
}
