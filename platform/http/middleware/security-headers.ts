import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { RequestHandler } from "express";
import helmet from "helmet";

/** Our own pages may load from the API and call it; they may not be framed. */
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
  // The API speaks plain HTTP: a TLS proxy in front of it sets this header.
  strictTransportSecurity: false,
});

/** Sets headers that keep browsers strict, on every answer. There is no CORS header: no other site may read an answer. */
export function securityHeaders(): RequestHandler {
  return (request, response, next) => {
    response.set("Cache-Control", "no-store");
    strict(request, response, next);
  };
}

/** The same headers as lines of an HTTP head, for an answer that server.ts writes without the app. */
export function rawSecurityHeaders(): string[] {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  response.setHeader("Cache-Control", "no-store");
  strict(request, response, () => undefined);
  return response.getHeaderNames().map((name) => `${name}: ${String(response.getHeader(name))}`);
}
