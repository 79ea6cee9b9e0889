import type { Request, RequestHandler, Response } from "express";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";
import { PlatformError } from "../../kernel/errors.ts";
import { clientAddress, isChange, knownCaller } from "./caller.ts";

const WINDOW_MS = 60_000;

/** At most `perMinute` requests of one caller; 0: no limit. */
export function limitRequests(perMinute: number): RequestHandler {
  return limiter("requests", perMinute, callerKey);
}

/** At most `perMinute` requests for a change of one caller, 0 for no limit: each costs the engine work and the audit log lines. */
export function limitChanges(perMinute: number): RequestHandler {
  return limiter("changes", perMinute, callerKey, (request) => !isChange(request));
}

/**
 * At most `perMinute` requests of one address with a refused token. A good token from there still passes: tokens are
 * too long to be guessed, so the limit saves work and log lines, and a shared address locks no other user out.
 */
export function limitRefusals(perMinute: number): RequestHandler {
  return limiter("refused-tokens", perMinute, addressKey);
}

/** The caller a limit counts: the owner of a token, or an address where there is no token. */
export function callerKey(request: Request, response: Response): string {
  const name = knownCaller(response)?.name;
  return name == null ? addressKey(request) : `token ${name}`;
}

function limiter(
  identifier: string,
  limit: number,
  keyGenerator: (request: Request, response: Response) => string,
  skip: (request: Request) => boolean = () => false,
): RequestHandler {
  if (limit === 0) return (_request, _response, next) => next();
  return rateLimit({
    windowMs: WINDOW_MS,
    limit,
    identifier,
    keyGenerator,
    skip,
    // RateLimit and RateLimit-Policy (IETF draft-ietf-httpapi-ratelimit-headers-08), and Retry-After when over.
    standardHeaders: "draft-8",
    legacyHeaders: false,
    handler: (_request, _response, next) =>
      next(
        new PlatformError(
          "too_many_requests",
          `Cannot accept more than ${limit} ${identifier.replace("-", " ")} a minute. Retry-After says when to try again.`,
        ),
      ),
  });
}

/** An IPv6 client has a whole network of addresses: they count as one. */
function addressKey(request: Request): string {
  return `address ${ipKeyGenerator(clientAddress(request))}`;
}
