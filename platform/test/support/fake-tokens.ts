import type { Caller } from "../../domain/caller.ts";
import type { TokenBook } from "../../store/store.ts";

/** Tokens as a test names them: `{ "t-ann": { name: "ann", role: "member" } }`. */
export function createFakeTokens(callers: Record<string, Caller>): TokenBook {
  const known = new Map(Object.entries(callers));
  return { identify: async (token) => known.get(token) ?? null };
}
