import type { Caller } from "../../domain/access/caller.ts";

/** The tokens that open the API, from a file that may change while the platform runs. */
export interface TokenStore {
  /** Whose token this is; null when it is nobody's. */
  identify(token: string): Promise<Caller | null>;
  /** Whether the file can be used, and what holds where it cannot. */
  health(): Promise<{ ok: boolean; detail: string }>;
}
