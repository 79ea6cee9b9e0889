import express, { type NextFunction, type Request, type Response, type RequestHandler } from "express";
import { PlatformError } from "../../kernel/errors.ts";

const LIMIT = "256kb";

/**
 * Reads JSON bodies only. A form or plain text, which any web page could send across sites without asking, is refused
 * with 415. A request without a body counts as `{}`.
 */
export function jsonBody(): RequestHandler[] {
  return [refuseOthers, express.json({ limit: LIMIT, strict: false, type: "application/json" }), emptyIsObject];
}

function refuseOthers(request: Request, _response: Response, next: NextFunction): void {
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
  if (hasBody && request.is("application/json") === false) {
    throw new PlatformError(
      "unsupported_media_type",
      "Cannot read the body: send JSON with the header 'Content-Type: application/json'.",
    );
  }
  next();
}

function emptyIsObject(request: Request, _response: Response, next: NextFunction): void {
  if (request.body === undefined) request.body = {};
  next();
}
