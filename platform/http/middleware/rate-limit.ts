import type { Request, RequestHandler, Response } from "express";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";
import { PlatformError } from "../../kernel/errors.ts";
import { clientAddress, isChange, knownCaller } from "./caller.ts";

const WINDOW_MS = 60_000;

/** At most `perMinute` requests of one token, or of one address where there is none; 0: no limit. */
export function limitRequests(perMinute: number): RequestHandler {
  if (perMinute === 0) return (_request, _response, next) => next();
  return limiter("requests", perMinute, callerKey);
}

/** At most `perMinute` requests that may change something, of one caller: each costs the engine work and the audit log lines. */
export function limitChanges(perMinute: number): RequestHandler {
  if (perMinute === 0) return (_request, _response, next) => next();
  return limiter("changes", perMinute, callerKey, (request) => !isChange(request));
}

/** Who a limit is about: a token's owner, or an address where there is none. */
export function callerKey(request: Request, response: Response): string {
  const name = knownCaller(response)?.name;
  return name == null ? addressKey(request) : `token ${name}`;
}

/**
 * At most `perMinute` passages of one address: for requests whose token has been refused. A good token
 * from there passes as ever. Tokens are too long to be guessed, so what this saves is work and log
 * lines; shutting an address out would hand whoever shares it a way to lock the others out.
 */
export function limitRefusals(perMinute: number): RequestHandler {
  return limiter("refused-tokens", perMinute, addressKey);
}

function limiter(
  identifier: string,
  limit: number,
  keyGenerator: (request: Request, response: Response) => string,
  skip: (request: Request) => boolean = () => false,
): RequestHandler {
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
