import { randomUUID } from "node:crypto";
import type { RequestHandler, Response } from "express";
import type { Logger } from "../../kernel/logger.ts";

/** Gives every request an id, the caller's own where that is a harmless word, and logs the request when it has been answered. */
export function requestId(logger: Logger): RequestHandler {
  return (request, response, next) => {
    const given = request.get("x-request-id");
    const id = given !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
    const started = performance.now();
    response.locals["requestId"] = id;
    response.set("X-Request-Id", id);
    response.on("close", () => {
      const ms = Math.round(performance.now() - started);
      logger.info(
        { request_id: id, method: request.method, path: request.path, status: response.statusCode, ms },
        "request",
      );
    });
    next();
  };
}

export function requestIdOf(response: Response): string {
  return response.locals["requestId"] as string;
}
