import { describeError, isPlatformError, PlatformError, type ErrorCode } from "../../kernel/errors.ts";

/** Which catalogue code an HTTP status of the engine means for one kind of call; `engine_failed` for the rest. */
export type StatusCodes = Partial<Record<number, ErrorCode>>;

const FORBIDDEN = "its socket may not be opened; run as root or as a member of the socket's group";
const BROKEN = "it closed the connection; see its own log, then try again";

/** Why a connection to the engine's socket fails, and what to do about it. */
const CONNECTION_ERRORS: Record<string, string> = {
  ENOENT: "its socket does not exist; start the engine, or set DOCKER_SOCKET to where it listens",
  ECONNREFUSED: "nothing listens on its socket; start the engine",
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  ECONNRESET: BROKEN,
  EPIPE: BROKEN,
  ERR_STREAM_PREMATURE_CLOSE: BROKEN,
  ETIMEDOUT: "it did not answer in time; see its own log, then try again",
};

/** The failure of a call that took longer than it may. */
export function engineTimeout(limitMs: number): Error {
  return Object.assign(new Error(`no answer within ${limitMs} ms`), { code: "ETIMEDOUT" });
}

/**
 * The failure of a call to the engine as a PlatformError, with the engine's own words and the original as `cause`.
 * `action` completes "Cannot …", as in `start container "x"`.
 */
export function toPlatformError(error: unknown, action: string, codes: StatusCodes = {}): PlatformError {
  if (isPlatformError(error)) return error;
  const status = statusOf(error);
  if (status !== null) {
    return new PlatformError(codes[status] ?? "engine_failed", `Cannot ${action}: ${refusal(error)}`, { cause: error });
  }
  const { code } = fieldsOf(error);
  if (typeof code === "string" && Object.hasOwn(CONNECTION_ERRORS, code)) {
    const detail = `Cannot ${action}: the Docker engine is unavailable: ${CONNECTION_ERRORS[code]} (${describeError(error)})`;
    return new PlatformError("engine_unavailable", detail, { cause: error });
  }
  return new PlatformError("engine_failed", `Cannot ${action}: ${describeError(error)}`, { cause: error });
}

/** The HTTP status with which the engine refused, or null for another failure. */
export function statusOf(error: unknown): number | null {
  const { statusCode } = fieldsOf(error instanceof PlatformError ? error.cause : error);
  return typeof statusCode === "number" ? statusCode : null;
}

/** From the engine's JSON answer, else from docker-modem's text around it. */
function refusal(error: unknown): string {
  const { message } = fieldsOf(fieldsOf(error).json);
  if (typeof message === "string" && message !== "") return message.trim();
  return describeError(error)
    .replace(/^\(HTTP code \d+\) [^-]* - /, "")
    .trim();
}

function fieldsOf(error: unknown): { statusCode?: unknown; json?: unknown; code?: unknown; message?: unknown } {
  return Object(error);
}
