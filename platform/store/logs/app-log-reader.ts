import type { LineFilter } from "./app-log-line.ts";
import { linesBackwards, dataBackwards, type OpenFile } from "../files/file-chain.ts";
import { createResumeSearch } from "./resume-search.ts";
import type { ResumePoint } from "./log-store.ts";

/** One answer holds at most so many bytes of lines, so that a few slow readers of long lines cannot fill the memory. */
const MAX_BYTES = 8 * 1024 * 1024;
const NEWLINE = 0x0a;

/** A place in a file, in bytes. */
export type Place = { file: OpenFile; position: number };

/**
 * The last `count` lines that match, oldest first, as far as they fit into 8 MiB. Holds these lines and one block in
 * memory, however large the files are.
 */
export async function readLastLines(files: OpenFile[], count: number, matches: LineFilter): Promise<string[]> {
  const found: string[] = [];
  await findLastLines(files, count, matches, (line) => found.push(line));
  return found.toReversed();
}

/**
 * Where the first of those lines begins; the end of the newest file when there are none, null without files. Holds one
 * block in memory, so that a follower can read the lines from there at its own pace.
 */
export async function findFirstOfLastLines(
  files: OpenFile[],
  count: number,
  matches: LineFilter,
): Promise<Place | null> {
  const [newest] = files;
  let first = newest === undefined ? null : { file: newest, position: newest.size };
  await findLastLines(files, count, matches, (_, place) => (first = place));
  return first;
}

/** Calls `tell` for the last `count` lines that match, newest first, as far as they fit into 8 MiB. */
async function findLastLines(
  files: OpenFile[],
  count: number,
  matches: LineFilter,
  tell: (line: string, place: Place) => void,
): Promise<void> {
  let [left, room] = [count, MAX_BYTES];
  if (left <= 0) return;
  for (const file of files) {
    for await (const { data, position } of dataBackwards(file)) {
      for (let start: number, end = data.length - 1; end >= 0; end = start - 1) {
        start = end === 0 ? 0 : data.lastIndexOf(NEWLINE, end - 1) + 1;
        const line = data.toString("utf8", start, end);
        if (!matches(line)) continue;
        room -= end - start;
        if (room < 0) return;
        tell(line, { file, position: position + start });
        if (--left === 0) return;
      }
    }
  }
}

/** Where shipping of a service goes on. Reads back no further than it must. */
export async function findResumePoint(files: OpenFile[], service: string): Promise<ResumePoint> {
  const search = createResumeSearch(service);
  for await (const batch of linesBackwards(files)) {
    if (batch.some((line) => search.look(line))) break;
  }
  return search.result();
}
