import { stat } from "node:fs/promises";
import { delay } from "../../kernel/delay.ts";
import type { Notifier } from "../../kernel/notifier.ts";
import type { LineFilter } from "./app-log-line.ts";
import type { Place } from "./app-log-reader.ts";
import { BLOCK_BYTES, chainPaths, openToRead, readBytes, type OpenFile } from "../files/file-chain.ts";

/** A follower reads the appends of this time at once: a flood costs it twenty reads a second. */
const GATHER_MS = 50;
const NEWLINE = 0x0a;

/** The file being read, the place in it, and the beginning of a line that has no end yet. */
type Cursor = { file: OpenFile; position: number; rest: Buffer };

export type FollowOptions = {
  /** Where app.log is now, also after it moved to the archive. */
  path: () => string;
  keep: number;
  /** Where to begin; null when nothing has been written yet. The follower closes the file. */
  start: Place | null;
  matches: LineFilter;
  /** Runs a function while no rotation and no move can happen. */
  exclusively: <T>(fn: () => Promise<T>) => Promise<T>;
  /** The appends. */
  changes: Notifier;
  /** Aborts after the last append. The lines that are there by then are still delivered. */
  ended: AbortSignal;
  signal: AbortSignal;
};

/**
 * Lines of a rotating file from a place on, those to come included, at the consumer's pace. One block is in memory and
 * nothing is read ahead, so a consumer that stalls costs no more than one that waits. A file that was rotated away is
 * read to its end before the next one.
 */
export async function* followLines(options: FollowOptions): AsyncGenerator<string> {
  const { start, matches, ended, signal } = options;
  const wake = AbortSignal.any([ended, signal]);
  let cursor: Cursor | null = start && cursorAt(start.file, start.position);
  try {
    while (!signal.aborted) {
      // Both are asked before reading, so that no append and no line before the end is missed.
      const [last, seen] = [ended.aborted, options.changes.count()];
      if (cursor !== null) yield* newLines(cursor, matches, signal);
      const next: Cursor | null = await findNext(cursor, options);
      if (next !== null) {
        // The old file is not written to any more: read the rest.
        try {
          if (cursor !== null) yield* newLines(cursor, matches, signal);
        } finally {
          await cursor?.file.handle.close();
          cursor = next;
        }
        continue;
      }
      if (last) return;
      await options.changes.next(wake, seen);
      await delay(GATHER_MS, wake);
    }
  } finally {
    await cursor?.file.handle.close();
  }
}

async function* newLines(cursor: Cursor, matches: LineFilter, signal: AbortSignal): AsyncGenerator<string> {
  while (!signal.aborted) {
    const lines = await nextLines(cursor);
    if (lines === null) return;
    for (const line of lines) {
      if (signal.aborted) return;
      if (matches(line)) yield line;
    }
  }
}

/**
 * The lines that end in the next block, null where nothing is left. A function, so that the block is freed before they
 * are taken.
 */
async function nextLines(cursor: Cursor): Promise<string[] | null> {
  const block = await readBytes(cursor.file.handle, cursor.position, BLOCK_BYTES);
  if (block.length === 0) return null;
  cursor.position += block.length;
  const data = Buffer.concat([cursor.rest, block]);
  const end = data.lastIndexOf(NEWLINE) + 1;
  cursor.rest = Buffer.from(data.subarray(end));
  return end === 0 ? [] : data.toString("utf8", 0, end - 1).split("\n");
}

/** The file after the one being read, from its beginning; null when that is the newest, or there is none yet. */
async function findNext(cursor: Cursor | null, { path, keep, exclusively }: FollowOptions): Promise<Cursor | null> {
  if (cursor !== null && (await inodeOf(path())) === cursor.file.inode) return null;
  return await exclusively(async () => {
    const names = chainPaths(path(), keep);
    const inodes = await Promise.all(names.map(inodeOf));
    const place = cursor === null ? -1 : inodes.indexOf(cursor.file.inode);
    // Where the file is not found, nothing was read yet, or the rotation deleted it: the oldest file comes next.
    const newer = place === -1 ? names.toReversed() : names.slice(0, place).toReversed();
    for (const name of newer) {
      const file = await openToRead(name);
      if (file !== null) return cursorAt(file, 0);
    }
    return null;
  });
}

function cursorAt(file: OpenFile, position: number): Cursor {
  return { file, position, rest: Buffer.alloc(0) };
}

async function inodeOf(path: string): Promise<bigint | null> {
  const facts = await stat(path, { bigint: true }).catch(() => null); // absent between a rotation and the next line
  return facts?.ino ?? null;
}
