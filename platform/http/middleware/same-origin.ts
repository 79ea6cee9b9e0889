import { isIP } from "node:net";
import type { Request, RequestHandler } from "express";
import { PlatformError } from "../../kernel/errors.ts";

/**
 * Keeps web pages of other sites from driving the API. A browser names the site that a page talks to in `Host`, and the
 * page's own site in `Origin` and `Sec-Fetch-Site`, which no script can change:
 * - an unexpected `Host` means that a foreign name was made to point here (DNS rebinding);
 * - an `Origin` other than `Host`, or a `Sec-Fetch-Site` other than same-origin or none, means a page of another site.
 *   Same-site is another site too: environments at `*.localhost` share the site of `localhost`.
 * `hosts`: names of the API beside localhost and its addresses, with or without a port.
 */
export function sameOrigin(hosts: readonly string[]): RequestHandler {
  return (request, _response, next) => {
    const host = request.headers.host ?? "";
    if (!isExpected(host, request.socket.localAddress ?? "", hosts)) {
      throw refusal(
        `its Host ${JSON.stringify(host.slice(0, 255))} is not this API's. Use its address, or add the name to API_HOSTS`,
      );
    }
    if (!isOwnOrigin(request.headers.origin, host)) throw refusal("its Origin is another site");
    if (!isOwnFetch(request)) throw refusal("a page of another site sent it");
    next();
  };
}

/** Known names, and the address that was connected to: no name can be made to look like an address. */
function isExpected(host: string, localAddress: string, hosts: readonly string[]): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/.exec(host.toLowerCase());
  const name = match?.[1];
  if (name === undefined) return false;
  const bare = name.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return [localAddress.replace(/^::ffff:/, ""), "127.0.0.1", "::1", ...hosts].includes(bare);
  return name === "localhost" || hosts.includes(name) || hosts.includes(host.toLowerCase());
}

/** No Origin: not a script, or a request of our own pages that carries none. `null`: a page that hides its site. */
function isOwnOrigin(origin: string | undefined, host: string): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

/** A link to one of our pages may be followed from any site: the page it was on cannot read the answer. */
function isOwnFetch({ headers, method }: Request): boolean {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return true;
  return method === "GET" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}

function refusal(reason: string): PlatformError {
  return new PlatformError("cross_origin", `Cannot accept the request: ${reason}.`);
}
