import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { errnoOf } from "../kernel/atomic-file.ts";

/**
 * One end of a named pipe (`constants.O_RDONLY` or `O_WRONLY`) as a file descriptor, or null where there is none. Waits for
 * nobody at the other end, nor later for room or for words. Containers can write to the folders that pipes are in: a
 * link or a file in a pipe's place counts as none.
 */
export function openPipe(path: string, end: number): number | null {
  try {
    const fd = openSync(path, end | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    if (fstatSync(fd).isFIFO()) return fd;
    closeSync(fd);
    return null;
  } catch (error) {
    if (errnoOf(error) === null) throw error;
    return null;
  }
}

/** Writes a line into a named pipe, without waiting. Whether somebody reads it, or will. */
export function tellPipe(path: string, line: string): boolean {
  const fd = openPipe(path, constants.O_WRONLY);
  if (fd === null) return false;
  try {
    writeSync(fd, `${line}\n`);
    return true;
  } catch (error) {
    if (errnoOf(error) === null) throw error;
    return false;
  } finally {
    closeSync(fd);
  }
}
