/**
 * The error catalogue: every failure that a caller can meet, with its stable code, HTTP status and title. Adapters
 * and use-cases throw `PlatformError`; http/ writes it as RFC 9457 problem+json. docs/api.md lists the same codes,
 * and a test compares both.
 */
export const CATALOGUE = {
  invalid_request: { status: 400, title: "Invalid request" },
  invalid_json: { status: 400, title: "Body is not valid JSON" },
  unauthorized: { status: 401, title: "A token is needed" },
  forbidden: { status: 403, title: "Not allowed for this token" },
  cross_origin: { status: 403, title: "Request from another site" },
  protected_target: { status: 403, title: "Target is protected" },
  environment_not_found: { status: 404, title: "No such environment" },
  path_not_found: { status: 404, title: "No such path" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  conflict: { status: 409, title: "Conflicts with the present state" },
  idempotency_key_reused: { status: 409, title: "Idempotency-Key was used for another request" },
  request_timeout: { status: 408, title: "Request took too long to arrive" },
  body_too_large: { status: 413, title: "Body is too large" },
  unsupported_media_type: { status: 415, title: "Unsupported media type" },
  image_not_found: { status: 422, title: "Image cannot be found" },
  image_not_runnable: { status: 422, title: "Image cannot be run" },
  container_exited: { status: 422, title: "Container exited" },
  too_many_requests: { status: 429, title: "Too many requests" },
  quota_exceeded: { status: 429, title: "Quota is used up" },
  address_pool_exhausted: { status: 503, title: "No free subnet" },
  capacity_exhausted: { status: 503, title: "The machine is full" },
  engine_unavailable: { status: 503, title: "Docker engine unavailable" },
  engine_failed: { status: 503, title: "Docker engine refused" },
  ingress_unavailable: { status: 503, title: "Nginx unavailable" },
  ingress_rejected: { status: 503, title: "Nginx refused the route" },
  storage_failed: { status: 503, title: "Disk operation failed" },
  disk_full: { status: 503, title: "Disk is nearly full" },
  shutting_down: { status: 503, title: "Platform is shutting down" },
  internal_error: { status: 503, title: "Unexpected failure" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof CATALOGUE;

/** One invalid field of a request. `path` is dotted, as in `services.0.port`; empty for the whole body. */
export type FieldError = { path: string; message: string };

type ErrorOptions = { cause?: unknown; errors?: FieldError[]; headers?: Record<string, string> };

/** A catalogued failure. `message` is the problem's `detail`: what happened and what to do next. */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly errors: FieldError[] | undefined;
  /** Response headers that belong to the error, such as `Allow` or `Retry-After`. */
  readonly headers: Record<string, string>;

  constructor(code: ErrorCode, detail: string, options: ErrorOptions = {}) {
    super(detail, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "PlatformError";
    this.code = code;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return CATALOGUE[this.code].status;
  }

  get title(): string {
    return CATALOGUE[this.code].title;
  }
}

/** Whether `error` is a PlatformError, of the given code if one is named. */
export function isPlatformError(error: unknown, code?: ErrorCode): error is PlatformError {
  return error instanceof PlatformError && (code === undefined || error.code === code);
}

/** Any thrown value as one short line, for `detail` texts and log fields. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
