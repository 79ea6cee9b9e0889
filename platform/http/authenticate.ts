import type { NextFunction, Request, RequestHandler, Response } from "express";
import { LOCAL_CALLER } from "../domain/caller.ts";
import { PlatformError } from "../domain/errors.ts";
import type { Context } from "../usecases/context.ts";
import { clientAddress, setCaller } from "./caller.ts";
import { limitRefusals } from "./rate-limit.ts";

/** Answered to anybody: whether the platform is well is what a monitor asks, and it tells nothing about environments. */
const OPEN_PATH = /^\/healthz\/?$/i;
const REFUSALS_A_MINUTE = 10;

/** Finds out who makes the request, by the bearer token (RFC 6750); without tokens everybody is the machine's own user. */
export function authenticate({ tokens, audit }: Pick<Context, "tokens" | "audit">): RequestHandler {
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
    if (OPEN_PATH.test(request.path)) return next();
    await limitRefused(request, response, (error?: unknown) => {
      if (error !== undefined) return next(error);
      audit.append({
        who: null,
        role: null,
        what: "authenticate",
        env_id: null,
        from: clientAddress(request),
        result: 401,
        request_id: response.locals["requestId"] as string,
      });
      next(refusal(token));
    });
  };
}

function bearerToken(request: Request): string | null {
  return /^Bearer +([\x21-\x7e]{1,512})$/i.exec(request.get("authorization") ?? "")?.[1] ?? null;
}

function refusal(token: string | null): PlatformError {
  const what = token === null ? "it has no token" : "its token is not known";
  return new PlatformError(
    "unauthorized",
    `Cannot accept the request: ${what}. Send "Authorization: Bearer <token>"; make token NAME= ROLE= makes one.`,
    { headers: { "WWW-Authenticate": "Bearer" } },
  );
}
