import { describeError, isPlatformError, PlatformError, type ErrorCode } from "../../kernel/errors.ts";

/** Which catalogue code an HTTP status of the engine means for one kind of call; `engine_failed` for the rest. */
export type StatusCodes = Partial<Record<number, ErrorCode>>;

/** Why a connection to the engine's socket fails, and what to do about it. */
const CONNECTION_ERRORS: Record<string, string> = {
  ENOENT: "its socket does not exist; start the engine, or set DOCKER_SOCKET to where it listens",
  ECONNREFUSED: "nothing listens on its socket; start the engine",
  EACCES: "its socket may not be opened; run as root or as a member of the socket's group",
  EPERM: "its socket may not be opened; run as root or as a member of the socket's group",
  ECONNRESET: "it closed the connection; see its own log, then try again",
  EPIPE: "it closed the connection; see its own log, then try again",
  ETIMEDOUT: "it did not answer in time; see its own log, then try again",
  ERR_STREAM_PREMATURE_CLOSE: "it closed the connection; see its own log, then try again",
};

/** A call that took longer than it may. */
export class EngineTimeout extends Error {
  readonly code = "ETIMEDOUT";

  constructor(limitMs: number) {
    super(`no answer within ${limitMs} ms`);
    this.name = "EngineTimeout";
  }
}

/**
 * Whatever a call to the engine throws, as a PlatformError that keeps the engine's own words and the
 * original as `cause`. `action` completes "Cannot …", as in `start container "x"`.
 */
export function toPlatformError(error: unknown, action: string, codes: StatusCodes = {}): PlatformError {
  if (isPlatformError(error)) return error;
  const status = httpStatus(error);
  if (status !== null) {
    return new PlatformError(codes[status] ?? "engine_failed", `Cannot ${action}: ${refusal(error)}`, { cause: error });
  }
  const code = property(error, "code");
  if (typeof code === "string" && Object.hasOwn(CONNECTION_ERRORS, code)) {
    const detail = `Cannot ${action}: the Docker engine is unavailable: ${CONNECTION_ERRORS[code]} (${describeError(error)})`;
    return new PlatformError("engine_unavailable", detail, { cause: error });
  }
  return new PlatformError("engine_failed", `Cannot ${action}: ${describeError(error)}`, { cause: error });
}

/** The HTTP status with which the engine refused, or null when it is not such a refusal. */
export function statusOf(error: unknown): number | null {
  return httpStatus(error instanceof PlatformError ? error.cause : error);
}

function httpStatus(error: unknown): number | null {
  const status = property(error, "statusCode");
  return typeof status === "number" ? status : null;
}

/** From the engine's JSON answer, else from docker-modem's text around it. */
function refusal(error: unknown): string {
  const message = property(property(error, "json"), "message");
  if (typeof message === "string" && message !== "") return message.trim();
  return describeError(error)
    .replace(/^\(HTTP code \d+\) [^-]* - /, "")
    .trim();
}

function property(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
