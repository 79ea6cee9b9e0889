import type { AppLogLine } from "./log-store.ts";
import type { LogQuery } from "../../domain/log-query.ts";

/** `<timestamp> <service> <stream> <text>`, with its line end. Everything but a line break stays as the container wrote it. */
export function formatLine({ timestamp, service, stream, text }: AppLogLine): string {
  const safe = text.includes("\n") ? text.replaceAll("\n", " ") : text;
  return `${timestamp} ${service} ${stream} ${safe}\n`;
}

/** A line of app.log without its line end; null when it is none. */
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

/** Whether a line of app.log is what a query asks for. */
export type LineFilter = (line: string) => boolean;

/** What `service`, `since` and `grep` of a query leave; lines that are none of ours pass only where neither service nor time is asked for. */
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
