import type { Request, RequestHandler, Response } from "express";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";
import { PlatformError } from "../domain/errors.ts";
import { clientAddress, knownCaller } from "./caller.ts";

const WINDOW_MS = 60_000;

/** At most `perMinute` requests of one token, or of one address where there is none; 0: no limit. */
export function limitRequests(perMinute: number): RequestHandler {
  if (perMinute === 0) return (_request, _response, next) => next();
  return limiter("requests", perMinute, (request, response) => {
    const name = knownCaller(response)?.name;
    return name == null ? addressKey(request) : `token ${name}`;
  });
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
): RequestHandler {
  return rateLimit({
    windowMs: WINDOW_MS,
    limit,
    identifier,
    keyGenerator,
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
