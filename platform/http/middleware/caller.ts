import { isIP } from "node:net";
import type { Request, Response } from "express";
import type { Caller } from "../../domain/access/caller.ts";

/** Who makes the request, as authentication found out. Throws where it has not been asked: no route answers before. */
export function callerOf(response: Response): Caller {
  const caller = response.locals["caller"] as Caller | undefined;
  if (caller === undefined) throw new TypeError("the caller is not known before authentication");
  return caller;
}

/** Like callerOf, where a request may have been let through without one. */
export function knownCaller(response: Response): Caller | null {
  return (response.locals["caller"] as Caller | undefined) ?? null;
}

export function setCaller(response: Response, caller: Caller): void {
  response.locals["caller"] = caller;
}

/** The token a request bears (RFC 6750); null when it has none, or something else. */
export function bearerToken(request: Request): string | null {
  return /^Bearer +([\x21-\x7e]{1,512})$/i.exec(request.get("authorization") ?? "")?.[1] ?? null;
}

/**
 * The client's address, an IPv4 one as IPv4 also where the server listens on IPv6. Through trusted proxies it is the
 * last address in X-Forwarded-For that is not one of them (Express, "trust proxy"): what stands before it the client
 * may have written itself. What is no address is nobody's word.
 */
export function clientAddress(request: Request): string {
  const named = request.ip ?? "";
  const address = isIP(named) === 0 ? (request.socket.remoteAddress ?? "") : named;
  return address.replace(/^::ffff:/i, "");
}

/** Whether the request may change something; the other methods only look. */
export function isChange(request: Request): boolean {
  return !["GET", "HEAD", "OPTIONS"].includes(request.method);
}

/** Whether the audit log has been told what the request changes; what was not had no effect. */
export function wasAudited(response: Response): boolean {
  return response.locals["audited"] === true;
}

export function setAudited(response: Response): void {
  response.locals["audited"] = true;
}
