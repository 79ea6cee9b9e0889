import { open, type FileHandle } from "node:fs/promises";
import { isAbsence } from "./read-files.ts";

/** How much of a file is in memory at once. */
export const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A file as it was when it was opened. Later appends and renames do not change what a reader gets. */
export type OpenFile = {
  handle: FileHandle;
  inode: bigint;
  /** Up to the end of the last whole line, in bytes. */
  size: number;
};

/** The names of a rotated file, newest first: `app.log`, `app.log.1` … */
export function chainPaths(path: string, keep: number): string[] {
  return [path, ...Array.from({ length: keep }, (_, index) => `${path}.${index + 1}`)];
}

/** Opens a file to read; null when there is none. */
export async function openToRead(path: string): Promise<OpenFile | null> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
  try {
    // As bigint: an overlay file system's inode numbers do not fit a double, and two of them would look the same.
    const { ino, size } = await handle.stat({ bigint: true });
    return { handle, inode: ino, size: await endOfWholeLines(handle, Number(size)) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Opens every file of a chain that there is, newest first. The caller closes them, and holds off rotation meanwhile.
 */
export async function openChain(path: string, keep: number): Promise<OpenFile[]> {
  const files: OpenFile[] = [];
  try {
    for (const name of chainPaths(path, keep)) {
      const file = await openToRead(name);
      if (file !== null) files.push(file);
    }
    return files;
  } catch (error) {
    await closeFiles(files);
    throw error;
  }
}

export async function closeFiles(files: OpenFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()));
}

/** Where the last whole line ends. A killed writer may have left half a line behind it. */
export async function endOfWholeLines(handle: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BLOCK_BYTES);
    // Nearly always the very last byte; only a half-written line needs a block.
    const block = end === size ? await readBytes(handle, size - 1, 1) : await readBytes(handle, start, end - start);
    const newline = block.lastIndexOf(NEWLINE);
    if (newline !== -1) return end - block.length + newline + 1;
    end = end === size ? size - 1 : start;
  }
  return 0;
}

/** Whole lines of a file, line ends included, and where in it they begin. Never empty. */
type Lines = { data: Buffer; position: number };

/** The lines of a file's whole-line part, the last ones first, in batches of about a block. */
export async function* dataBackwards({ handle, size }: Pick<OpenFile, "handle" | "size">): AsyncGenerator<Lines> {
  // The pieces of a line whose beginning is not read yet, with its line end.
  let rest: Buffer[] = [];
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const block = await readBytes(handle, start, end - start);
    end = start;
    // A block's first line may have begun in the block before, except at the beginning of the file.
    const cut = start === 0 ? 0 : block.indexOf(NEWLINE) + 1;
    if (start > 0 && cut === 0) {
      rest.unshift(block);
      continue;
    }
    const data = Buffer.concat([block.subarray(cut), ...rest]);
    rest = [block.subarray(0, cut)];
    if (data.length > 0) yield { data, position: start + cut };
  }
}

/** The lines of several files, newest first, as one, without their line ends, in batches. */
export async function* linesBackwards(files: Pick<OpenFile, "handle" | "size">[]): AsyncGenerator<string[]> {
  for (const file of files) {
    for await (const { data } of dataBackwards(file)) {
      yield data
        .toString("utf8", 0, data.length - 1)
        .split("\n")
        .toReversed();
    }
  }
}

/**
 * The last `limit` entries that `parse` takes, oldest first. It is given the newest line first; null leaves one out.
 */
export async function readLastEntries<T>(
  files: OpenFile[],
  limit: number,
  parse: (line: string) => T | null,
): Promise<T[]> {
  const found: T[] = [];
  if (limit <= 0) return found;
  for await (const lines of linesBackwards(files)) {
    for (const line of lines) {
      const entry = parse(line);
      if (entry !== null && found.push(entry) >= limit) return found.toReversed();
    }
  }
  return found.toReversed();
}

/** Up to `length` bytes at `position`; fewer at the end of the file. */
export async function readBytes(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
