import { rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { storageError } from "../../kernel/atomic-file.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import { createKeyedLock } from "../../kernel/keyed-lock.ts";
import { assertEnvironmentId } from "../files/assert-id.ts";
import { createLineFilter, formatLine } from "./app-log-line.ts";
import { findFirstOfLastLines, findResumePoint, readLastLines, type Place } from "./app-log-reader.ts";
import { isFolder, KEPT_FILES, moveLogs, readOwner, writeOwner } from "../archive/archive-folder.ts";
import { listFolder } from "../files/read-files.ts";
import { closeFiles, openChain, type OpenFile } from "../files/file-chain.ts";
import { createFollowers } from "./followers.ts";
import { readLastChecks } from "./health-log.ts";
import { followLines } from "./log-follow.ts";
import { createRotatingFile, type RotatingFile } from "../files/rotating-file.ts";
import { createTombstones } from "./tombstones.ts";
import type { FollowQuery, LogStore } from "./log-store.ts";

const ARCHIVE = "archived";
const APP_LOG = "app.log";
const HEALTH_LOG = "health.log";
const CLEANUP_LOG = "cleanup.log";
/** A check every 30 s fills this in four days. */
const HEALTH_LOG_BYTES = 1024 * 1024;
const KEPT_HEALTH_FILES = 1;

/**
 * * Logs below `folder`, each file at most `maxSize` bytes (a longer line has a file of its own). `shownAs` is the
 * folder's path in answers.
 */
export function createDiskLogStore({
  folder,
  maxSize,
  shownAs = basename(resolve(folder)),
  clock = systemClock,
}: {
  folder: string;
  maxSize: number;
  shownAs?: string;
  clock?: Clock;
}): LogStore {
  // Held by every append, rotation and move of an environment's files, and while they are opened for reading, so that a
  // reader has a consistent set of files.
  const lock = createKeyedLock();
  const writers = new Map<string, { app: RotatingFile; health: RotatingFile }>();
  const followers = createFollowers();
  const tombstones = createTombstones();
  const cleanup = createRotatingFile({ path: join(folder, CLEANUP_LOG), maxSize, keep: KEPT_FILES });
  let closed = false;

  const livePath = (id: string) => join(folder, id);
  const archivedPath = (id: string) => join(folder, ARCHIVE, id);

  function writersOf(id: string): { app: RotatingFile; health: RotatingFile } {
    const known = writers.get(id);
    if (known !== undefined) return known;
    const made = {
      // The shipper is told of the loss, asks for the resume point and ships again what the engine still has.
      app: createRotatingFile({ path: join(livePath(id), APP_LOG), maxSize, keep: KEPT_FILES, throwsOnLoss: true }),
      health: createRotatingFile({
        path: join(livePath(id), HEALTH_LOG),
        maxSize: HEALTH_LOG_BYTES,
        keep: KEPT_HEALTH_FILES,
      }),
    };
    writers.set(id, made);
    return made;
  }

  async function closeWriters(id: string): Promise<void> {
    const files = writers.get(id);
    writers.delete(id);
    await Promise.all([files?.app.close(), files?.health.close()]);
  }

  /** Runs a change of one environment's files, or of the cleanup log; its failures become `storage_failed`. */
  function change<T>(key: string, verb: string, fn: () => Promise<T>): Promise<T> {
    return lock.run(key, async () => {
      if (closed) throw new PlatformError("shutting_down", `Cannot ${verb} "${key}": the platform is shutting down`);
      return await guarded(verb, join(folder, key), fn);
    });
  }

  /**
   * Opens the files of a log, living or archived; null when the environment has no logs at all. The caller closes them.
   */
  async function openLog(
    id: string,
    name: string,
    keep: number,
  ): Promise<{ files: OpenFile[]; archived: boolean } | null> {
    const living = await isFolder(livePath(id));
    if (!living && !(await isFolder(archivedPath(id)))) return null;
    const path = living ? livePath(id) : archivedPath(id);
    return { files: await openChain(join(path, name), keep), archived: !living };
  }

  async function reading<T>(
    id: string,
    name: string,
    keep: number,
    none: T,
    read: (files: OpenFile[]) => Promise<T>,
  ): Promise<T> {
    if (!isEnvironmentId(id)) return none;
    return await guarded("read log", join(folder, id, name), async () => {
      const log = await lock.run(id, () => openLog(id, name, keep));
      if (log === null) return none;
      try {
        return await read(log.files);
      } finally {
        await closeFiles(log.files);
      }
    });
  }

  async function* follow(
    id: string,
    { lines = 0, isOver = false, ...query }: FollowQuery,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    if (!isEnvironmentId(id) || signal.aborted || closed) return;
    const matches = createLineFilter(query);
    const log = followers.join(id);
    try {
      const start = await guarded("read log", livePath(id), async () => {
        const opened = await lock.run(id, () => openLog(id, APP_LOG, KEPT_FILES));
        if (opened?.archived === true || tombstones.has(id)) followers.end(id, opened?.archived === true);
        return await beginning(opened?.files ?? [], lines, matches);
      });
      yield* followLines({
        path: () => join(log.archived ? archivedPath(id) : livePath(id), APP_LOG),
        keep: KEPT_FILES,
        start,
        matches,
        exclusively: (fn) => lock.run(id, fn),
        changes: log.changes,
        ended: isOver ? AbortSignal.abort() : log.ended.signal,
        signal,
      });
    } finally {
      followers.leave(id);
    }
  }

  return {
    resumePoint: (id, service) => reading(id, APP_LOG, KEPT_FILES, null, (files) => findResumePoint(files, service)),
    async append(id, lines) {
      assertEnvironmentId(id, "keep logs of");
      if (lines.length === 0) return;
      const text = lines.map(formatLine).join("");
      await change(id, "append to log", async () => {
        if (tombstones.has(id))
          throw new PlatformError("conflict", `Cannot append to log of "${id}": the environment is gone`);
        try {
          await writersOf(id).app.append(text);
        } finally {
          followers.notify(id); // part of a large batch may be there after a failure, too
        }
      });
    },
    read: (id, query) =>
      reading(id, APP_LOG, KEPT_FILES, null, (files) => readLastLines(files, query.lines, createLineFilter(query))),
    follow,
    async appendHealth(id, check) {
      assertEnvironmentId(id, "keep logs of");
      await change(id, "append to health log", async () => {
        if (!tombstones.has(id)) await writersOf(id).health.append(`${JSON.stringify(check)}\n`);
      });
    },
    readHealth: (id, count) => reading(id, HEALTH_LOG, KEPT_HEALTH_FILES, [], (files) => readLastChecks(files, count)),
    async archive(id, owner = null) {
      assertEnvironmentId(id, "keep logs of");
      await change(id, "archive logs", async () => {
        await closeWriters(id);
        await writeOwner(livePath(id), owner);
        await moveLogs(livePath(id), archivedPath(id));
        tombstones.add(id);
        followers.end(id, true);
      });
    },
    archivedOwner: async (id) => (isEnvironmentId(id) ? readOwner(archivedPath(id)) : null),
    archivePath(id) {
      assertEnvironmentId(id, "keep logs of");
      return join(shownAs, ARCHIVE, id);
    },
    async discard(id) {
      assertEnvironmentId(id, "keep logs of");
      await change(id, "discard logs", async () => {
        await closeWriters(id);
        await rm(livePath(id), { recursive: true, force: true });
        tombstones.add(id);
        followers.end(id, false);
      });
    },
    list: () => guarded("read folder", folder, () => listFolders(folder)),
    async appendCleanup(action) {
      const { timestamp: _, ...rest } = action;
      const line = `${JSON.stringify({ timestamp: clock.timestamp(), ...rest })}\n`;
      await change(CLEANUP_LOG, "append to", () => cleanup.append(line));
    },
    async close() {
      closed = true;
      followers.endAll();
      await Promise.all([...writers.keys()].map((id) => lock.run(id, () => closeWriters(id))));
      await lock.run(CLEANUP_LOG, () => cleanup.close());
    },
  };
}

/** Where the last lines begin. Closes every file but that one. */
async function beginning(files: OpenFile[], lines: number, matches: (line: string) => boolean): Promise<Place | null> {
  let start: Place | null = null;
  try {
    start = await findFirstOfLastLines(files, lines, matches);
    return start;
  } finally {
    await closeFiles(files.filter((file) => file !== start?.file));
  }
}

async function listFolders(folder: string): Promise<string[]> {
  const ids = (await listFolder(folder)).filter(isEnvironmentId);
  const areFolders = await Promise.all(ids.map((id) => isFolder(join(folder, id))));
  return ids.filter((_, index) => areFolders[index]);
}

async function guarded<T>(verb: string, path: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    throw error instanceof PlatformError ? error : storageError(verb, path, error);
  }
}
