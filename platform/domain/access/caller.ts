export const ROLES = ["admin", "member", "viewer"] as const;
export type Role = (typeof ROLES)[number];

/** The caller of a request. `name`: the token's, which owns what the caller creates; null where there are no tokens. */
export type Caller = { name: string | null; role: Role };

/** Without tokens the API listens on loopback only, and every caller may do everything. */
export const LOCAL_CALLER: Caller = { name: null, role: "admin" };

/** Names no token may have: the audit log gives them to callers without a token and to the platform itself. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(["local", "platform"]);

/** Whether a caller may see the environments of all owners. */
export function seesAll(caller: Caller): boolean {
  return caller.role !== "member";
}

/** Whether a caller may see the environments of `owner`: a member sees its own, and none without an owner. */
export function maySee(caller: Caller, owner: string | null): boolean {
  return seesAll(caller) || (owner !== null && owner === caller.name);
}

/** Whether a caller may change anything at all. */
export function mayChange(caller: Caller): boolean {
  return caller.role !== "viewer";
}
