import type { ErrorRequestHandler } from "express";
import { CATALOGUE, PlatformError, describeError, isPlatformError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/logger.ts";
import { requestIdOf } from "./middleware/request-id.ts";

/** A problem document (RFC 9457). `type` points into the API's documentation; `code` is stable. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id: string;
  errors?: { path: string; message: string }[];
};

export function toProblem(error: PlatformError, requestId: string): Problem {
  return {
    type: `/docs#${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(error.errors === undefined ? {} : { errors: error.errors }),
  };
}

/** The last middleware: answers every thrown value with one problem document. */
export function problemWriter(logger: Logger): ErrorRequestHandler {
  // Express tells it from other middleware by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    const error = catalogued(thrown);
    const requestId = requestIdOf(response);
    if (error.code === "internal_error") logger.error({ err: thrown, request_id: requestId }, "unexpected failure");
    else if (error.status >= 500 || error.code === "image_not_found") {
      // The engine's own words about an image are for the log, not for the caller.
      const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
      logger.warn({ code: error.code, reason: error.message, ...cause, request_id: requestId }, "request failed");
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(error.status).set(error.headers).type("application/problem+json");
    // The rest of a refused body is not read: with the connection kept, the client could not read the answer.
    if (error.status === 413) response.set("Connection", "close");
    response.send(request.method === "HEAD" ? "" : JSON.stringify(toProblem(error, requestId)));
  };
}

/** The catalogue's error for a thrown value. Express and its body parser throw errors with a `type` and a `status`. */
function catalogued(thrown: unknown): PlatformError {
  if (isPlatformError(thrown)) return thrown;
  const { type, status = 500 } = (thrown ?? {}) as { type?: string; status?: number };
  const cause = { cause: thrown };
  if (type === "entity.parse.failed")
    return new PlatformError("invalid_json", "Cannot read the body: it is not valid JSON.", cause);
  if (status === 413)
    return new PlatformError("body_too_large", "Cannot accept the body: it is larger than 256 KiB.", cause);
  if (status === 415) {
    const detail = "Cannot read the body: send uncompressed or gzip JSON in UTF-8.";
    return new PlatformError("unsupported_media_type", detail, cause);
  }
  if (status >= 400 && status < 500)
    return new PlatformError("invalid_request", "Cannot read the request: its path or body is malformed.", cause);
  return new PlatformError(
    "internal_error",
    `Something unexpected failed (${CATALOGUE.internal_error.title}); the platform's log tells more under this request_id.`,
    cause,
  );
}
