import type { LineFilter } from "./app-log-line.ts";
import { parseLine } from "./app-log-line.ts";
import { chainBackwards, type OpenFile } from "./file-chain.ts";
import type { ResumePoint, ShippedLine } from "./store.ts";

/** By how much the order of lines and their timestamps may differ: as long as the engine's disk may stall. */
const DISORDER_MS = 10_000;

/** The last `count` lines that match, oldest first. Holds them and one block in memory, however large the files are. */
export async function readLastLines(files: OpenFile[], count: number, matches: LineFilter): Promise<string[]> {
  const found: string[] = [];
  if (count <= 0) return found;
  for await (const batch of chainBackwards(files)) {
    for (const line of batch) {
      if (!matches(line)) continue;
      found.push(detach(line));
      if (found.length >= count) return found.reverse();
    }
  }
  return found.reverse();
}

/**
 * Where shipping of a service goes on: of each stream the last line's timestamp and how many lines
 * bear it. Looks back no further than a line of the other stream may have been overtaken.
 */
export async function findResumePoint(files: OpenFile[], service: string): Promise<ResumePoint> {
  const streams: { stdout?: ShippedLine; stderr?: ShippedLine } = {};
  const counted = new Set<string>();
  let newest = Number.NEGATIVE_INFINITY;
  for await (const batch of chainBackwards(files)) {
    for (const text of batch) {
      const line = parseLine(text);
      const time = line === null ? Number.NaN : Date.parse(line.timestamp);
      if (line === null || line.service !== service || Number.isNaN(time)) continue;
      newest = Math.max(newest, time);
      if (time < newest - 2 * DISORDER_MS) return resumeFrom(newest, streams);
      const last = streams[line.stream];
      if (last === undefined) streams[line.stream] = { timestamp: line.timestamp, count: 1 };
      else if (last.timestamp !== line.timestamp) counted.add(line.stream);
      else if (!counted.has(line.stream)) last.count++;
      if (counted.size === 2) return resumeFrom(newest, streams);
    }
  }
  return resumeFrom(newest, streams);
}

function resumeFrom(newest: number, streams: NonNullable<ResumePoint>["streams"]): ResumePoint {
  if (newest === Number.NEGATIVE_INFINITY) return null;
  // Nine digits, as the engine stamps its lines, so that the two compare as texts.
  return { since: new Date(newest - DISORDER_MS).toISOString().replace("Z", "000000Z"), streams };
}

/** A copy that does not keep the whole block alive that the line was cut out of. */
function detach(line: string): string {
  return Buffer.from(line).toString();
}
