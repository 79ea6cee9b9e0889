/**
 * Every call that the platform makes of the Docker engine, with its query parameters. The socket proxy lets through no
 * other. The documentation lists the same calls, and a test compares both lists with the calls that the platform makes.
 */
const QUERY_KEYS = {
  "GET /version": [],
  "GET /events": ["since", "filters"],
  "GET /containers/json": ["all", "filters"],
  "POST /containers/create": ["name"],
  "GET /containers/{name}/json": [],
  "POST /containers/{name}/start": [],
  "POST /containers/{name}/kill": ["signal"],
  "POST /containers/{name}/pause": [],
  "POST /containers/{name}/unpause": [],
  "DELETE /containers/{name}": ["force", "v"],
  "GET /containers/{name}/logs": ["follow", "stdout", "stderr", "timestamps", "tail", "since"],
  "GET /containers/{name}/archive": ["path"],
  "PUT /containers/{name}/archive": ["path"],
  "POST /containers/{name}/exec": [],
  "POST /exec/{name}/start": [],
  "GET /exec/{name}/json": [],
  "GET /networks": ["filters"],
  "POST /networks/create": [],
  "GET /networks/{name}": [],
  "POST /networks/{name}/connect": [],
  "POST /networks/{name}/disconnect": [],
  "DELETE /networks/{name}": [],
  "GET /images/{image}/json": [],
  "POST /images/create": ["fromImage", "tag"],
} as const satisfies Record<string, readonly string[]>;

export type AllowedCall = keyof typeof QUERY_KEYS;

export const ALLOWED_CALLS = Object.keys(QUERY_KEYS) as AllowedCall[];

/** A parsed request. `name` is that of the container, network, command or image, "" where there is none. */
export type ParsedCall = { call: AllowedCall; version: string; name: string; query: URLSearchParams };

/** Names and ids as the engine accepts them. Images have folders, tags and digests too. */
const NAME = "[a-zA-Z0-9][a-zA-Z0-9_.-]*";
const PARTS: Record<string, string> = { "{name}": NAME, "{image}": `${NAME}(?:[/:@][a-zA-Z0-9_.-]+)*` };
const WHOLE_NAME = new RegExp(`^${NAME}$`);

/** From 1.41 on: older versions of the API accept privileges in other calls too, such as a start. */
const VERSION = "(?:/v1\\.(?:4[1-9]|[5-9]\\d))?";

const PATTERNS = ALLOWED_CALLS.map((call) => {
  const [method = "", path = ""] = call.split(" ");
  const pattern = path.replace(/\{\w+\}/, (part) => `(?<name>${PARTS[part]})`);
  return { call, method, path: new RegExp(`^(?<version>${VERSION})${pattern}$`) };
});

/** Parses a request; null for a call that is not in the list, or whose path is encoded or goes up. */
export function findCall(method: string, url: string): ParsedCall | null {
  const [path = "", ...query] = url.split("?");
  if (path.split("/").includes("..")) return null;
  for (const pattern of PATTERNS) {
    const groups = pattern.method === method ? pattern.path.exec(path)?.groups : undefined;
    if (groups === undefined) continue;
    const { version = "", name = "" } = groups;
    return { call: pattern.call, version, name, query: new URLSearchParams(query.join("?")) };
  }
  return null;
}

/** Why the query is refused, or null: the platform gives each known parameter at most once, and no other. */
export function refuseQuery({ call, query }: ParsedCall): string | null {
  const known: readonly string[] = QUERY_KEYS[call];
  const keys = [...query.keys()];
  const unknown = keys.find((key) => !known.includes(key));
  if (unknown !== undefined) return `${unknown} is not a parameter that the platform gives`;
  return new Set(keys).size < keys.length ? "a parameter is given twice" : null;
}

/** The path and query for the engine, with `id` in the place of the name. */
export function engineUrl({ call, version, name, query }: ParsedCall, id = name): string {
  const path = call.slice(call.indexOf(" ") + 1).replace(/\{\w+\}/, id);
  return `${version}${path}${query.size === 0 ? "" : `?${query}`}`;
}

export function isName(value: unknown): value is string {
  return typeof value === "string" && WHOLE_NAME.test(value);
}
