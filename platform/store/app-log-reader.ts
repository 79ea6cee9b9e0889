import type { LineFilter } from "./app-log-line.ts";
import { chainBackwards, type OpenFile } from "./file-chain.ts";
import { createResumeSearch } from "./resume-search.ts";
import type { ResumePoint } from "./store.ts";

/** One answer holds at most so many bytes of lines, so that a few slow readers of long lines cannot fill the memory. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * The last `count` lines that match, oldest first, as far as they fit into 8 MiB. Holds them and one
 * block in memory, however large the files are.
 */
export async function readLastLines(files: OpenFile[], count: number, matches: LineFilter): Promise<string[]> {
  const found: string[] = [];
  let bytes = 0;
  if (count <= 0) return found;
  for await (const batch of chainBackwards(files)) {
    for (const line of batch) {
      if (!matches(line)) continue;
      bytes += Buffer.byteLength(line);
      if (bytes > MAX_BYTES) return found.toReversed();
      found.push(detach(line));
      if (found.length >= count) return found.toReversed();
    }
  }
  return found.toReversed();
}

/** Where shipping of a service goes on. Looks back no further than it must. */
export async function findResumePoint(files: OpenFile[], service: string): Promise<ResumePoint> {
  const search = createResumeSearch(service);
  for await (const batch of chainBackwards(files)) {
    if (batch.some((line) => search.look(line))) break;
  }
  return search.result();
}

/** A copy that does not keep the whole block alive that the line was cut out of. */
function detach(line: string): string {
  return Buffer.from(line).toString();
}
