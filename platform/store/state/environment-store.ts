import type { EnvironmentRecord } from "../../domain/environment/record.ts";

/** The environments' state files, all in memory and written through. Failures to write are `storage_failed`. */
export interface EnvironmentStore {
  /** Reads every state file. What does not parse is quarantined, never deleted, and reported. Called once, at start. */
  load(): Promise<{ loaded: number; quarantined: { file: string; reason: string }[] }>;
  /** Oldest first. The same array until a record has changed. */
  all(): readonly EnvironmentRecord[];
  get(id: string): EnvironmentRecord | null;
  /** Durable once it resolves. The record in memory changes after the one on disk. */
  save(record: EnvironmentRecord): Promise<void>;
  /** Succeeds also where there is none. */
  remove(id: string): Promise<void>;
  /**
   * Environments whose state file is in quarantine or cannot be read, and since when (milliseconds since the epoch).
   * They may be running. The disk is asked anew each time, since operators put files right or delete them.
   */
  quarantined(): Promise<{ id: string; since: number }[]>;
  /**
   * Environments whose file is gone or holds no record of theirs any more. An edited file that can be read is left
   * alone.
   */
  damaged(): Promise<string[]>;
  /** Writes the state folder's sentinel file anew where it is gone. For when every record is on the disk again. */
  restoreSentinel(): Promise<void>;
  /** Proves that the folder can be written to. */
  check(): Promise<{ ok: boolean; detail: string }>;
}
