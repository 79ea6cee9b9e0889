import type { NextFunction, Request, Response } from "express";
import { CATALOGUE, PlatformError, describeError, isPlatformError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/logger.ts";

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

/** The last middleware: whatever was thrown becomes one problem document. */
export function problemWriter(logger: Logger) {
  return (thrown: unknown, request: Request, response: Response, _next: NextFunction): void => {
    const error = catalogued(thrown);
    const requestId = response.locals["requestId"] as string;
    if (error.code === "internal_error") logger.error({ err: thrown, request_id: requestId }, "unexpected failure");
    else if (error.status >= 500 || error.code === "image_not_found") {
      // Why an image cannot be had is in the engine's words, which the caller is not told.
      const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
      logger.warn({ code: error.code, reason: error.message, ...cause, request_id: requestId }, "request failed");
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(error.status).set(error.headers).type("application/problem+json");
    // A body that was refused is not read to its end; without this the client could not read the answer.
    if (error.status === 413) response.set("Connection", "close");
    response.send(request.method === "HEAD" ? "" : JSON.stringify(toProblem(error, requestId)));
  };
}

/** What Express and its body parser throw, in terms of the catalogue; they tell by `type` and `status`. */
function catalogued(thrown: unknown): PlatformError {
  if (isPlatformError(thrown)) return thrown;
  const { type, status } = (thrown ?? {}) as { type?: string; status?: number };
  if (type === "entity.parse.failed")
    return new PlatformError("invalid_json", "Cannot read the body: it is not valid JSON.", { cause: thrown });
  if (status === 413)
    return new PlatformError("body_too_large", "Cannot accept the body: it is larger than 256 KiB.", { cause: thrown });
  if (status === 415) {
    return new PlatformError(
      "unsupported_media_type",
      "Cannot read the body: send uncompressed or gzip JSON in UTF-8.",
      { cause: thrown },
    );
  }
  if (status !== undefined && status >= 400 && status < 500) {
    return new PlatformError("invalid_request", "Cannot read the request: its path or body is malformed.", {
      cause: thrown,
    });
  }
  return new PlatformError(
    "internal_error",
    `Something unexpected failed (${CATALOGUE.internal_error.title}); the platform's log tells more under this request_id.`,
    {
      cause: thrown,
    },
  );
}
