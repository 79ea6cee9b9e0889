import type { EnvironmentRecord } from "../../domain/environment/record.ts";

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
