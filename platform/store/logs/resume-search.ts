import { parseLine } from "./app-log-line.ts";
import type { ResumePoint, ShippedLine } from "./log-store.ts";

/** How far the order of lines may differ from their timestamps': as long as the engine's disk may stall. */
const DISORDER_MS = 10_000;

/**
 * Finds where shipping of a service goes on, from the lines of app.log, newest first: each stream's last timestamp and
 * the number of lines that bear it.
 */
export type ResumeSearch = {
  /** Takes the next older line. True when the older ones do not matter any more. */
  look(line: string): boolean;
  result(): ResumePoint;
};

export function createResumeSearch(service: string): ResumeSearch {
  const streams: { stdout?: ShippedLine; stderr?: ShippedLine } = {};
  const counted = new Set<string>();
  let lastTime: number | null = null;

  return {
    look(text) {
      const line = parseLine(text);
      const time = line === null ? Number.NaN : Date.parse(line.timestamp);
      if (line === null || line.service !== service || Number.isNaN(time)) return false;
      lastTime ??= time;
      // The last line cannot have overtaken one this old: a stream that was not met has shipped nothing since `since`.
      if (time < lastTime - 2 * DISORDER_MS) return true;
      const last = streams[line.stream];
      if (last === undefined) streams[line.stream] = { timestamp: line.timestamp, count: 1 };
      else if (last.timestamp !== line.timestamp) counted.add(line.stream);
      else if (!counted.has(line.stream)) last.count++;
      return counted.size === 2;
    },
    result() {
      if (lastTime === null) return null;
      // Nine digits, as in the engine's own timestamps, so that the two compare as texts.
      return { since: new Date(lastTime - DISORDER_MS).toISOString().replace("Z", "000000Z"), streams };
    },
  };
}
