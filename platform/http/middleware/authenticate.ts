import type { Request, RequestHandler } from "express";
import { LOCAL_CALLER, type Caller } from "../../domain/access/caller.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { auditEntries } from "./audit-changes.ts";
import type { AuditThrottle } from "./audit-throttle.ts";
import { bearerToken, setCaller } from "./caller.ts";
import { limitRefusals } from "./rate-limit.ts";

/** The caller a token belongs to; null when it is in no tokens file. */
export type Identify = (token: string) => Promise<Caller | null>;

/** Answered without a token: a monitor asks whether the platform is well, and learns nothing about environments. */
const OPEN_PATH = /^\/healthz\/?$/i;
const REFUSALS_A_MINUTE = 10;

/**
 * Checks the bearer token of a request (RFC 6750) and sets its caller; 401 without a good one, 429 after ten refusals a
 * minute. `identify` is null without a tokens file: then every caller is the machine's own user.
 * The other half is store/tokens/, which looks the token's hash up in the tokens file.
 */
export function authenticate(identify: Identify | null, throttle: AuditThrottle): RequestHandler {
  const limitRefused = limitRefusals(REFUSALS_A_MINUTE);

  return async (request, response, next) => {
    const token = bearerToken(request);
    const caller = identify === null ? LOCAL_CALLER : token === null ? null : await identify(token);
    if (caller !== null) {
      setCaller(response, caller);
      return next();
    }
    if (isOpen(request)) return next();
    throttle.append(auditEntries(request, response)({ what: "authenticate", env_id: null, result: 401 }));
    await limitRefused(request, response, (error?: unknown) => next(error ?? refusal(token)));
  };
}

/** Only for reading: every other method needs a caller. */
function isOpen({ method, path }: Request): boolean {
  return (method === "GET" || method === "HEAD") && OPEN_PATH.test(path);
}

function refusal(token: string | null): PlatformError {
  const reason = token === null ? "it has no token" : "its token is not known";
  return new PlatformError(
    "unauthorized",
    `Cannot accept the request: ${reason}. Send "Authorization: Bearer <token>"; make token NAME= ROLE= makes one.`,
    { headers: { "WWW-Authenticate": "Bearer" } },
  );
}
