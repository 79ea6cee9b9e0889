/**
 * Values of environments' secrets, on disk only and readable by the platform's user alone. Failures are
 * `storage_failed`.
 */
export interface SecretStore {
  /** Durable once it resolves. */
  save(id: string, secrets: Record<string, string>): Promise<void>;
  /** Null when none were saved. */
  read(id: string): Promise<Record<string, string> | null>;
  /** Succeeds also where there are none. */
  remove(id: string): Promise<void>;
  /** The ids of environments that have secrets saved. */
  list(): Promise<string[]>;
}
