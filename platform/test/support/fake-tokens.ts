import type { Caller } from "../../domain/access/caller.ts";
import type { TokenStore } from "../../store/tokens/token-store.ts";

/** Ann and Bob are members, Eve is a viewer, Root an admin; `t-ann` is Ann's token. */
export const PEOPLE = {
  "t-ann": { name: "ann", role: "member" },
  "t-bob": { name: "bob", role: "member" },
  "t-eve": { name: "eve", role: "viewer" },
  "t-root": { name: "root", role: "admin" },
} as const satisfies Record<string, Caller>;

/** Tokens as a test names them: `{ "t-ann": { name: "ann", role: "member" } }`; `known` may be changed. */
export function createFakeTokens(callers: Record<string, Caller>): TokenStore & { known: Map<string, Caller> } {
  const known = new Map(Object.entries(callers));
  return {
    known,
    identify: async (token) => known.get(token) ?? null,
    health: async () => ({ ok: true, detail: "" }),
  };
}
