import { isIP } from "node:net";
import type { Request, Response } from "express";
import type { Caller } from "../../domain/access/caller.ts";

/** The caller that authenticate() set. Throws before authentication. */
export function callerOf(response: Response): Caller {
  const caller = knownCaller(response);
  if (caller === null) throw new TypeError("the caller is not known before authentication");
  return caller;
}

/** Like callerOf; null where a request was let through without a token. */
export function knownCaller(response: Response): Caller | null {
  return (response.locals["caller"] as Caller | undefined) ?? null;
}

export function setCaller(response: Response, caller: Caller): void {
  response.locals["caller"] = caller;
}

/** The bearer token of a request (RFC 6750); null when there is none. */
export function bearerToken(request: Request): string | null {
  return /^Bearer +([\x21-\x7e]{1,512})$/i.exec(request.get("authorization") ?? "")?.[1] ?? null;
}

/**
 * The client's address, an IPv4 one as IPv4 also where the server listens on IPv6. Behind trusted proxies it is the
 * last address in X-Forwarded-For that is not one of theirs (Express, "trust proxy"): the client may have written the
 * ones before it. Text that is no address does not count.
 */
export function clientAddress(request: Request): string {
  const named = request.ip ?? "";
  const address = isIP(named) === 0 ? (request.socket.remoteAddress ?? "") : named;
  return address.replace(/^::ffff:/i, "");
}

/** Whether the request may change something. */
export function isChange(request: Request): boolean {
  return !["GET", "HEAD", "OPTIONS"].includes(request.method);
}
