import type { Caller } from "../../domain/access/caller.ts";

/** The tokens of the API's callers, from a file that may change while the platform runs. */
export interface TokenStore {
  /** The caller that a token belongs to; null for a token that is not in the file. */
  identify(token: string): Promise<Caller | null>;
  /** Whether the file can be used, and which tokens are valid where it cannot. */
  health(): Promise<{ ok: boolean; detail: string }>;
}
