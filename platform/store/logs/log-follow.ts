import { stat } from "node:fs/promises";
import { delay } from "../../kernel/delay.ts";
import type { Notifier } from "../../kernel/notifier.ts";
import type { LineFilter } from "./app-log-line.ts";
import type { Place } from "./app-log-reader.ts";
import { BLOCK_BYTES, chainPaths, openToRead, readBytes, type OpenFile } from "../files/file-chain.ts";

/** What is appended within this is read at once: a flood costs a follower twenty looks a second, silence none. */
const GATHER_MS = 50;
const NEWLINE = 0x0a;

/** The file being read, how far, and the beginning of a line whose end is not written yet. */
type Cursor = { file: OpenFile; position: number; rest: Buffer };

export type FollowOptions = {
  /** Where app.log is now: among the living or, once they are moved, in the archive. */
  path: () => string;
  keep: number;
  /** Where to begin, in whichever file; null when nothing has been written yet. The file is closed by the follower. */
  start: Place | null;
  matches: LineFilter;
  /** Runs a function while no rotation and no move can happen. */
  exclusively: <T>(fn: () => Promise<T>) => Promise<T>;
  /** The appends. */
  changes: Notifier;
  /** Aborts when nothing will be appended any more: what is there by then is still delivered. */
  ended: AbortSignal;
  signal: AbortSignal;
};

/**
 * Lines of a rotating file from a place on, those to come included, at the consumer's pace: one block is in memory,
 * and nothing is read ahead, so that who begins far back and stalls costs no more than who waits for news. A file
 * that was rotated away is read to its end before the next one is begun.
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
        // The old file is no longer the newest: what it holds now is all it ever will.
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

/** The lines that end in the next block, null where nothing is left. Apart, so that nothing but them outlives it. */
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
    // Not found: nothing was read yet, or it was rotated away altogether; the oldest one there is comes next.
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
