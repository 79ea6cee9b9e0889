import type { HealthCheck } from "../../domain/health-rule.ts";
import type { LogQuery } from "../../domain/log-query.ts";

/** One line of a container's output on its way to `app.log`; a line break within `text` is written as a space. */
export type AppLogLine = { timestamp: string; service: string; stream: "stdout" | "stderr"; text: string };

/** The last lines shipped of one stream: their timestamp and how many bear it. */
export type ShippedLine = { timestamp: string; count: number };

/**
 * Where shipping of one service resumes; null when nothing was shipped yet. By stream, since the engine stamps a line
 * before it queues it behind the other stream's: order and timestamps agree only within a stream.
 */
export type ResumePoint = {
  /** The time to ask the engine for, some seconds before the last line shipped. */
  since: string;
  /** A stream without an entry has no line shipped since `since`. */
  streams: { stdout?: ShippedLine; stderr?: ShippedLine };
} | null;

export type FollowQuery = Omit<LogQuery, "lines"> & {
  /** So many of the last lines come first, without a gap or a double between them and the lines to come. */
  lines?: number;
  /** Nothing will be appended any more, so the follower ends after the lines that are there. */
  isOver?: boolean;
};

/**
 * `logs/<id>/`: app.log (rotated at a size, keeping 3) and health.log; moved to `logs/archived/<id>/` at the end.
 * A line of app.log is `<timestamp> <service> <stream> <text>`.
 */
export interface LogStore {
  /** Where to go on after a restart or a failed append. A half-written last line does not count. */
  resumePoint(id: string, service: string): Promise<ResumePoint>;
  /**
   * Appends lines in order; resolves when the system has them, which is the shipper's backpressure. After a failure ask
   * for the resume point, since part of a batch that is larger than a file may be there. `conflict` once archived.
   */
  append(id: string, lines: AppLogLine[]): Promise<void>;
  /** Matching lines of a living or an archived environment, oldest first; null when it has no logs at all. */
  read(id: string, query: LogQuery): Promise<string[] | null>;
  /**
   * * Matching lines from the first one asked for on, as they are appended; ends when the environment's logs are
   * archived or discarded, or `signal` aborts. Reads at the consumer's pace and holds one block. A consumer so slow
   * that the next lines are rotated away skips them.
   */
  follow(id: string, query: FollowQuery, signal: AbortSignal): AsyncIterable<string>;
  /** A check that arrives after the logs were archived or discarded is dropped. */
  appendHealth(id: string, check: HealthCheck): Promise<void>;
  /** The last `count` checks, oldest first. */
  readHealth(id: string, count: number): Promise<HealthCheck[]>;
  /**
   * Closes the logs and moves them to `archivePath(id)`, with their owner. Succeeds also where there is nothing to
   * move.
   */
  archive(id: string, owner?: string | null): Promise<void>;
  /** The owner of archived logs; null where they have none, or there are no logs. */
  archivedOwner(id: string): Promise<string | null>;
  /** Where an environment's logs are after its end, such as `logs/archived/<id>`. */
  archivePath(id: string): string;
  /** Closes and deletes the live logs. Succeeds also where there are none. */
  discard(id: string): Promise<void>;
  /** The ids with live logs. */
  list(): Promise<string[]>;
  /** Appends one timestamped line to `logs/cleanup.log`. */
  appendCleanup(action: Record<string, unknown>): Promise<void>;
  /** Ends the followers and closes every open file; nothing can be appended any more. */
  close(): Promise<void>;
}
