import type { Archive } from "../domain/archive-rule.ts";
import type { AuditEntry, NewAuditEntry } from "../domain/access/audit.ts";
import type { Caller } from "../domain/access/caller.ts";
import type { EnvironmentRecord } from "../domain/environment/record.ts";
import type { FirewallHeartbeat } from "../domain/firewall-heartbeat.ts";
import type { HealthCheck } from "../domain/health-rule.ts";
import type { LogQuery } from "../domain/log-query.ts";
import type { NewEvent, PlatformEvent } from "../domain/events.ts";

/** The environments' state files: all in memory, written through. Failures to write are `storage_failed`. */
export interface EnvironmentStore {
  /** Reads every state file. What does not parse is quarantined, never deleted, and reported. Called once, at start. */
  load(): Promise<{ loaded: number; quarantined: { file: string; reason: string }[] }>;
  /** Oldest first. One and the same array until a record has changed. */
  all(): readonly EnvironmentRecord[];
  get(id: string): EnvironmentRecord | null;
  /** Durable once it resolves; memory follows the disk. */
  save(record: EnvironmentRecord): Promise<void>;
  /** None is fine. */
  remove(id: string): Promise<void>;
  /**
   * Environments whose state file is in quarantine or cannot be read, and since when (milliseconds since the epoch).
   * They may be running. The disk is asked anew each time, since operators put files right or delete them.
   */
  quarantined(): Promise<{ id: string; since: number }[]>;
  /** Environments whose file is gone, or cannot be read as their record any more; one that was edited and can be read is none. */
  damaged(): Promise<string[]>;
  /** Writes the state folder's sentinel file anew where it is gone. For when every record is on the disk again. */
  restoreSentinel(): Promise<void>;
  /** Proves that the folder can be written to. */
  check(): Promise<{ ok: boolean; detail: string }>;
}

/** One line of a container's output on its way to `app.log`; a line break within `text` is written as a space. */
export type AppLogLine = { timestamp: string; service: string; stream: "stdout" | "stderr"; text: string };

/** The last lines shipped of one stream: their timestamp and how many bear it. */
export type ShippedLine = { timestamp: string; count: number };

/**
 * Where shipping of one service resumes; null: nothing shipped yet. By stream, because the engine
 * stamps a line before it queues it behind the other stream's: only within a stream do order and
 * timestamps agree. (Measured on 20.10: of 200,000 lines on both streams 995 were out of order.)
 */
export type ResumePoint = {
  /** What to ask the engine for: some seconds before the last line shipped. */
  since: string;
  /** A stream without an entry has no line shipped since `since`. */
  streams: { stdout?: ShippedLine; stderr?: ShippedLine };
} | null;

export type { LogQuery } from "../domain/log-query.ts";

export type FollowQuery = Omit<LogQuery, "lines"> & {
  /** The last so many come first, without a gap or a double between them and those to come. */
  lines?: number;
  /** Nothing will be appended any more: ends with what is there. */
  isOver?: boolean;
};

/**
 * `logs/<id>/`: app.log (rotated at a size, keeping 3) and health.log; moved to `logs/archived/<id>/` at the end.
 * A line of app.log is `<timestamp> <service> <stream> <text>`.
 */
export interface LogStore {
  /** Where to go on after a restart or a failed append; a half-written last line does not count. */
  resumePoint(id: string, service: string): Promise<ResumePoint>;
  /**
   * Appends lines in order; resolves when they are handed to the disk, which is the shipper's backpressure.
   * After a failure ask for the resume point: part of a batch larger than a whole file may be there. `conflict` once archived.
   */
  append(id: string, lines: AppLogLine[]): Promise<void>;
  /** Matching lines, oldest first, of a living or an archived environment; null when it has no logs at all. */
  read(id: string, query: LogQuery): Promise<string[] | null>;
  /**
   * Matching lines appended from the first one asked for on, each within a second; ends when the environment's logs are
   * archived or discarded, or `signal` aborts. Reads at the consumer's pace and holds one block, also of the lines that
   * were there before; who is so slow that what is next is deleted meanwhile skips it.
   */
  follow(id: string, query: FollowQuery, signal: AbortSignal): AsyncIterable<string>;
  /** A check that arrives after the logs were archived or discarded is dropped. */
  appendHealth(id: string, check: HealthCheck): Promise<void>;
  /** The last `count` checks, oldest first. */
  readHealth(id: string, count: number): Promise<HealthCheck[]>;
  /** Closes and moves the logs to `archivePath(id)`, noting whose they are. Done before, or nothing to move, is fine. */
  archive(id: string, owner?: string | null): Promise<void>;
  /** Whose archived logs these are; null when nobody's, or there are none. */
  archivedOwner(id: string): Promise<string | null>;
  /** Where an environment's logs are kept after its end, such as `logs/archived/<id>`. */
  archivePath(id: string): string;
  /** Closes and deletes the live logs; none is fine. */
  discard(id: string): Promise<void>;
  /** Ids that have a folder of live logs. */
  list(): Promise<string[]>;
  /** One timestamped line in `logs/cleanup.log`. */
  appendCleanup(action: Record<string, unknown>): Promise<void>;
  /** Ends the followers and closes every open file; nothing can be appended any more. */
  close(): Promise<void>;
}

/** Logs of destroyed environments, as a whole each. Failures are `storage_failed`. */
export interface ArchiveStore {
  list(): Promise<Archive[]>;
  /** None is fine. Whoever is reading it reads on. */
  remove(id: string): Promise<void>;
}

/** How much can still be written, in bytes. */
export interface DiskSpace {
  /** Where the state files and where the logs are; often the same file system. */
  free(): Promise<{ state: number; logs: number }>;
}

/** The firewall's container, which keeps environments from this machine. */
export interface Firewall {
  /** The last that it said of its rules; null when it has said nothing. */
  last(): Promise<FirewallHeartbeat | null>;
  /**
   * Has it take away, in one go, the engine's rules about the bridge of a network that nobody needs any more and that
   * is about to be removed (docs/adr/0010). Resolves when it is asked. Where it does not listen, nothing happens: the
   * engine takes them away itself, one by one.
   */
  dropRules(bridge: string): Promise<void>;
}

/** What happened, in order: `logs/events.jsonl`, and to whoever listens. */
export interface EventLog {
  /** Numbers, stamps, appends and hands out an event. Never throws: a full disk must not stop what it tells of. */
  emit(event: NewEvent): PlatformEvent;
  /**
   * Events after `afterId` as far as memory holds them (the last 1,000), then those to come; null: only those to come.
   * Ends when `signal` aborts, the log is closed, or a reader is so slow that events were dropped before it read them.
   */
  subscribe(afterId: number | null, signal: AbortSignal): AsyncIterable<PlatformEvent>;
  close(): Promise<void>;
}

/** Values of environments' secrets: on disk only, readable by the platform's user alone. Failures are `storage_failed`. */
export interface SecretStore {
  /** Durable once it resolves. */
  save(id: string, secrets: Record<string, string>): Promise<void>;
  /** Null when none were saved. */
  read(id: string): Promise<Record<string, string> | null>;
  /** None is fine. */
  remove(id: string): Promise<void>;
  /** Environments that have secrets saved. */
  list(): Promise<string[]>;
}

/** Who changed what: `logs/audit.jsonl`. */
export interface AuditLog {
  /** Stamps and appends an entry. Never throws: what was done is done, a full disk is told to the logger. */
  append(entry: NewAuditEntry): void;
  /** Resolves once the system has what was appended, or the disk has refused it. Never rejects. */
  flush(): Promise<void>;
  /** The last `limit` entries, oldest first; of a change that has ended, its end alone. */
  read(limit: number): Promise<AuditEntry[]>;
  close(): Promise<void>;
}

/** The tokens that open the API, from a file that may change while the platform runs. */
export interface TokenStore {
  /** Whose token this is; null when it is nobody's. */
  identify(token: string): Promise<Caller | null>;
  /** Whether the file can be used, and what holds where it cannot. */
  health(): Promise<{ ok: boolean; detail: string }>;
}
