// Calls of the API, with errors that a person can read.

export type Environment = {
  id: string;
  name: string;
  status: string;
  url: string;
  ttl_remaining: number;
  expires_at: string;
  outage: { mode: string; ends_at: string | null } | null;
};

export type Check = {
  timestamp: string;
  status: string | number | null;
  latency_ms: number;
  ok: boolean;
  error?: string;
};

type Problem = { title?: string; detail?: string; errors?: { path: string; message: string }[] };

/** The API refused, failed or did not answer; the message is for the person at the terminal. */
export class ApiError extends Error {
  readonly status: number;
  constructor(message: string, status = 0) {
    super(message);
    this.status = status;
  }
}

/** A parameter is missing or not understood; the message says how to use the command. */
export class UsageError extends Error {}

/** The API's address: PLATFORM_URL, else PLATFORM_HOST (by default loopback) and PLATFORM_PORT. */
export function apiUrl(): string {
  if (process.env.PLATFORM_URL) return process.env.PLATFORM_URL.replace(/\/+$/, "");
  const host = process.env.PLATFORM_HOST || "127.0.0.1";
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${process.env.PLATFORM_PORT || "8080"}`;
}

/** Calls the API; throws an ApiError unless it answers with success. */
export async function call(
  method: string,
  path: string,
  options: { body?: unknown; accept?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  const headers: Record<string, string> = { accept: options.accept ?? "application/json" };
  if (process.env.API_TOKEN) headers["authorization"] = `Bearer ${process.env.API_TOKEN}`;
  if (options.body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(apiUrl() + path, {
      method,
      headers,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(`The API does not answer at ${apiUrl()}. Start the platform: make up`);
  }
  if (!response.ok) throw new ApiError(await describeProblem(response), response.status);
  return response;
}

/** Calls the API and parses its JSON answer, whose shape is the API's contract. */
export async function callJson<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await call(method, path, body === undefined ? {} : { body });
  return (await response.json()) as T;
}

async function describeProblem(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as Problem;
    if (response.status === 401)
      return "The API wants a token: set API_TOKEN in .env or before make. make token NAME= ROLE= makes one.";
    const detail = problem.detail ?? problem.title ?? `HTTP ${response.status}`;
    const fields = (problem.errors ?? []).map((field) => `${field.path}: ${field.message}`);
    return [detail, ...fields.filter((field) => !detail.includes(field))].join("\n  ");
  } catch {
    // Not the API's format: another program listens there.
    return `HTTP ${response.status} from ${response.url}: ${text.slice(0, 200)}`;
  }
}

/** The path of an environment, with its id encoded. */
export function envPath(id: string, rest = ""): string {
  return `/envs/${encodeURIComponent(id)}${rest}`;
}
