export const ROLES = ["admin", "member", "viewer"] as const;
export type Role = (typeof ROLES)[number];

/** Who makes a request. `name` is the token's, and the owner of what it creates; null where the platform has no tokens. */
export type Caller = { name: string | null; role: Role };

/** Without tokens the API listens on loopback only, and whoever reaches it may do everything. */
export const LOCAL_CALLER: Caller = { name: null, role: "admin" };

/** Names no token may have: the audit log gives them to callers without a token and to the platform's own deeds. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(["local", "platform"]);

/** Whether a caller may see everything, whoever has made it. */
export function seesAll(caller: Caller): boolean {
  return caller.role !== "member";
}

/** Whether a caller may see what `owner` has made: a member only its own, and nothing that has no owner. */
export function maySee(caller: Caller, owner: string | null): boolean {
  return seesAll(caller) || (owner !== null && owner === caller.name);
}

/** Whether a caller may change anything at all. */
export function mayChange(caller: Caller): boolean {
  return caller.role !== "viewer";
}
