import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { RequestHandler } from "express";
import helmet from "helmet";

/** What our own pages may do: load and ask the API itself, and nothing else; nobody may frame them. */
const PAGE_POLICY = {
  "default-src": ["'none'"],
  "script-src": ["'self'"],
  "style-src": ["'self'"],
  "img-src": ["'self'", "data:"],
  "font-src": ["'self'"],
  "connect-src": ["'self'"],
  "base-uri": ["'none'"],
  "form-action": ["'none'"],
  "frame-ancestors": ["'none'"],
};

const strict = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY },
  frameguard: { action: "deny" },
  // The API speaks plain HTTP; whoever puts TLS before it sets this there, where it counts.
  strictTransportSecurity: false,
});

/** Headers that keep browsers strict, on every answer. No CORS header is among them: no other site may read one. */
export function securityHeaders(): RequestHandler {
  return (request, response, next) => {
    response.set("Cache-Control", "no-store");
    strict(request, response, next);
  };
}

/** The same headers, for an answer that no app writes: lines of an HTTP head. */
export function rawSecurityHeaders(): string[] {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  response.setHeader("Cache-Control", "no-store");
  strict(request, response, () => undefined);
  return response.getHeaderNames().map((name) => `${name}: ${String(response.getHeader(name))}`);
}
