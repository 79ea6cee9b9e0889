import { mkdir, open, rename, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf } from "../../kernel/atomic-file.ts";
import { chainPaths, endOfWholeLines } from "./file-chain.ts";

const NEWLINE = 0x0a;

/**
 * A file of lines that moves to `<path>.1` (and that to `.2` …) when the next text would make it larger than `maxSize`
 * bytes; `keep` old ones stay. rotating-file-stream neither repairs a half-written line nor says how much of a failed
 * write is on the disk.
 */
export type RotatingFile = {
  /**
   * Appends whole lines; resolves when the system has them. When this throws, nothing of a text that fits into one file
   * is there. A larger text is split between lines, and part of it may stay.
   */
  append(text: string): Promise<void>;
  /** Closes the file; a later append opens it again. */
  close(): Promise<void>;
};

type Opened = { handle: FileHandle; size: number; inode: number };

/**
 * * Opens and creates nothing before the first append. The caller makes one call at a time. A file that was removed
 * since the last append is begun anew; with `throwsOnLoss` that append throws, for a caller that can append the lost
 * lines again.
 */
export function createRotatingFile({
  path,
  maxSize,
  keep,
  throwsOnLoss = false,
}: {
  path: string;
  maxSize: number;
  keep: number;
  throwsOnLoss?: boolean;
}): RotatingFile {
  let opened: Opened | null = null;

  async function close(): Promise<void> {
    const handle = opened?.handle;
    opened = null;
    await handle?.close();
  }

  async function write(part: Buffer): Promise<void> {
    if (opened !== null && !(await isStillThere(path, opened))) {
      await close();
      if (throwsOnLoss) throw new Error(`Cannot append to "${path}": it was removed; the next append begins it anew`);
    }
    opened ??= await openToAppend(path);
    if (opened.size > 0 && opened.size + part.length > maxSize) {
      await close();
      await rotate(path, keep);
      opened = await openToAppend(path);
    }
    try {
      await opened.handle.appendFile(part);
      opened.size += part.length;
    } catch (error) {
      await opened.handle.truncate(opened.size).catch(() => undefined); // else the next opening cuts the half line off
      await close().catch(() => undefined);
      throw error;
    }
  }

  return {
    async append(text) {
      for (const part of splitBetweenLines(Buffer.from(text), maxSize)) await write(part);
    },
    close,
  };
}

/**
 * Moves every file of a chain one place on and overwrites the oldest. A kill in between leaves a gap, which is fine.
 */
export async function rotate(path: string, keep: number): Promise<void> {
  const names = chainPaths(path, keep);
  for (let place = names.length - 1; place > 0; place--) {
    const [from, to] = [names[place - 1], names[place]];
    if (from === undefined || to === undefined) continue;
    await rename(from, to).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
    });
  }
}

async function openToAppend(path: string): Promise<Opened> {
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, "a+");
  try {
    const { size, ino: inode } = await handle.stat();
    const whole = await endOfWholeLines(handle, size);
    if (whole < size) await handle.truncate(whole);
    return { handle, size: whole, inode };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A write to a removed file succeeds, and its lines are lost. */
async function isStillThere(path: string, { inode }: Opened): Promise<boolean> {
  return stat(path).then(
    ({ ino }) => ino === inode,
    () => false,
  );
}

/** Parts of at most `limit` bytes that end with a line each; a longer line is a part of its own. */
function* splitBetweenLines(data: Buffer, limit: number): Generator<Buffer> {
  let start = 0;
  while (data.length - start > limit) {
    const last = data.subarray(start, start + limit).lastIndexOf(NEWLINE);
    const end = last === -1 ? data.indexOf(NEWLINE, start) + 1 : start + last + 1;
    if (end <= start) break;
    yield data.subarray(start, end);
    start = end;
  }
  if (start < data.length) yield data.subarray(start);
}
