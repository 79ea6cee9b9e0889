import type { NextFunction, Request, RequestHandler, Response } from "express";
import { LOCAL_CALLER } from "../../domain/access/caller.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Context } from "../../usecases/context.ts";
import { bearerToken, clientAddress, setCaller } from "./caller.ts";
import type { AuditThrottle } from "./audit-throttle.ts";
import { limitRefusals } from "./rate-limit.ts";

/** Answered to anybody: whether the platform is well is what a monitor asks, and it tells nothing about environments. */
const OPEN_PATH = /^\/healthz\/?$/i;
const REFUSALS_A_MINUTE = 10;

/** Finds out who makes the request, by the bearer token (RFC 6750); without tokens everybody is the machine's own user. */
export function authenticate({ tokens }: Pick<Context, "tokens">, refusals: AuditThrottle): RequestHandler {
  const limitRefused = limitRefusals(REFUSALS_A_MINUTE);

  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    if (tokens === null) {
      setCaller(response, LOCAL_CALLER);
      return next();
    }
    const token = bearerToken(request);
    const caller = token === null ? null : await tokens.identify(token);
    if (caller !== null) {
      setCaller(response, caller);
      return next();
    }
    if (isOpen(request)) return next();
    refusals.note({
      who: null,
      role: null,
      what: "authenticate",
      env_id: null,
      from: clientAddress(request),
      result: 401,
      request_id: response.locals["requestId"] as string,
    });
    await limitRefused(request, response, (error?: unknown) => next(error ?? refusal(token)));
  };
}

/** To look at only: whatever else is asked there needs to know who asks. */
function isOpen({ method, path }: Request): boolean {
  return (method === "GET" || method === "HEAD") && OPEN_PATH.test(path);
}

function refusal(token: string | null): PlatformError {
  const what = token === null ? "it has no token" : "its token is not known";
  return new PlatformError(
    "unauthorized",
    `Cannot accept the request: ${what}. Send "Authorization: Bearer <token>"; make token NAME= ROLE= makes one.`,
    { headers: { "WWW-Authenticate": "Bearer" } },
  );
}
