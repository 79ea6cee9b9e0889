/**
 * Every call that the platform makes of the Docker engine, and all that the socket proxy lets through.
 * docs/operations.md lists the same, and a test compares both with what the platform really asks.
 */
export const ALLOWED_CALLS = [
  "GET /version",
  "GET /events",
  "GET /containers/json",
  "POST /containers/create",
  "GET /containers/{name}/json",
  "POST /containers/{name}/start",
  "POST /containers/{name}/kill",
  "POST /containers/{name}/pause",
  "POST /containers/{name}/unpause",
  "DELETE /containers/{name}",
  "GET /containers/{name}/logs",
  "GET /containers/{name}/archive",
  "PUT /containers/{name}/archive",
  "POST /containers/{name}/exec",
  "POST /exec/{name}/start",
  "GET /exec/{name}/json",
  "GET /networks",
  "POST /networks/create",
  "GET /networks/{name}",
  "POST /networks/{name}/connect",
  "POST /networks/{name}/disconnect",
  "DELETE /networks/{name}",
  "GET /images/{image}/json",
  "POST /images/create",
] as const;

export type AllowedCall = (typeof ALLOWED_CALLS)[number];

/** Names and ids as the engine takes them. Images have folders, tags and digests. */
const PARTS: Record<string, string> = {
  "{name}": "[a-zA-Z0-9][a-zA-Z0-9_.-]*",
  "{image}": "[a-zA-Z0-9][a-zA-Z0-9_.-]*(?:[/:@][a-zA-Z0-9_.-]+)*",
};

/** From 1.41 on; older versions of the API take privileges in other calls too (a start, for instance). */
const VERSION = "(?:/v1\\.(?:4[1-9]|[5-9]\\d))?";

const PATTERNS = ALLOWED_CALLS.map((call) => {
  const [method = "", path = ""] = call.split(" ");
  const pattern = path.replace(/\{\w+\}/g, (part) => PARTS[part] ?? part);
  return { call, method, path: new RegExp(`^${VERSION}${pattern}$`) };
});

/** The call that a request is, or null: one that is not in the list, or not plainly written. */
export function findCall(method: string, url: string): AllowedCall | null {
  const [path = ""] = url.split("?", 1);
  if (path.split("/").includes("..")) return null;
  return PATTERNS.find((pattern) => pattern.method === method && pattern.path.test(path))?.call ?? null;
}
