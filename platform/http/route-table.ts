import type { Request, RequestHandler, Response, Router } from "express";
import { PlatformError } from "../kernel/errors.ts";

type Method = "get" | "post" | "delete";
export type Handler = (request: Request, response: Response) => Promise<void> | void;

/** Registers the methods of a path; every other method answers 405 with `Allow`. */
export function addRoute(router: Router, path: string, handlers: Partial<Record<Method, Handler>>): void {
  const route = router.route(path);
  for (const [method, handler] of Object.entries(handlers)) route[method as Method](handler as RequestHandler);
  const allow = Object.keys(handlers)
    .flatMap((method) => (method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]))
    .join(", ");
  route.all((request) => {
    throw new PlatformError("method_not_allowed", `Cannot ${request.method} ${request.path}: it takes ${allow}.`, {
      headers: { Allow: allow },
    });
  });
}
