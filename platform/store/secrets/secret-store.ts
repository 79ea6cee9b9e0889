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
