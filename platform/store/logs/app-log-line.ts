import type { AppLogLine } from "./log-store.ts";
import type { LogQuery } from "../../domain/log-query.ts";

/**
 * `<timestamp> <service> <stream> <text>` with its line end. Only line breaks within the text are replaced, by spaces.
 */
export function formatLine({ timestamp, service, stream, text }: AppLogLine): string {
  const safe = text.includes("\n") ? text.replaceAll("\n", " ") : text;
  return `${timestamp} ${service} ${stream} ${safe}\n`;
}

/** Reads a line of app.log without its line end; null when it has another form. */
export function parseLine(line: string): AppLogLine | null {
  const first = line.indexOf(" ");
  const second = line.indexOf(" ", first + 1);
  const third = line.indexOf(" ", second + 1);
  if (first < 1 || second < first || third < second) return null;
  const stream = line.slice(second + 1, third);
  if (stream !== "stdout" && stream !== "stderr") return null;
  return {
    timestamp: line.slice(0, first),
    service: line.slice(first + 1, second),
    stream,
    text: line.slice(third + 1),
  };
}

/** Whether a line of app.log matches a query. */
export type LineFilter = (line: string) => boolean;

/** The filter of a query. Lines of another form match only where neither a service nor a time is asked for. */
export function createLineFilter({ service, since, grep }: Omit<LogQuery, "lines">): LineFilter {
  const needle = grep?.toLowerCase() ?? "";
  return (line) => {
    if (service !== undefined || since !== undefined) {
      const parsed = parseLine(line);
      if (parsed === null) return false;
      if (service !== undefined && parsed.service !== service) return false;
      if (since !== undefined && !(Date.parse(parsed.timestamp) >= since)) return false;
    }
    return needle === "" || line.toLowerCase().includes(needle);
  };
}
