import { isIPv4 } from "node:net";
import { PlatformError } from "../../kernel/errors.ts";
import { isEnvironmentId } from "../../domain/environment/ids.ts";
import { parseAddress, parseSubnet } from "../../domain/network/subnets.ts";
import { flagOf, RELOAD_MARK } from "./conf-folder.ts";
import type { Route } from "../router.ts";

/** RFC 1123, lower case: labels of at most 63 characters, 253 in all. Nothing in it means anything to Nginx. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Ranges that lead Nginx back to itself or nowhere: this network, loopback, multicast and above. */
const NO_UPSTREAM = new Set([0, 127]);
const FIRST_MULTICAST = 224;

/** The edge proxy's side of every generated file. */
export type EdgeListener = {
  /**
   * Nginx's address in the platform's own network: the only one that anything listens on, so that environments, which
   * share networks with Nginx, find nothing there. Not a name for it: names are in the container's /etc/hosts, which
   * Docker empties and writes anew whenever the container joins or leaves a network.
   */
  address: string;
  /** CIDR ranges of the environments: one that finds a way to that address all the same is forbidden everything. */
  denied: readonly string[];
};

/** Where Nginx's container has the folder that nginx.conf includes. */
const FOLDER = "/etc/nginx/conf.d";
/** Always there, since Nginx would not run without: the flag of requests that need none. */
const ALWAYS_THERE = "/etc/nginx/nginx.conf";

/**
 * The configuration of one environment: an upstream, so that connections to it are kept, and a server
 * block. Everything that all environments share (proxy headers, time limits) is inherited from nginx.conf.
 *
 * Two files are looked for with every request: the enabled flag, without which the route answers as an unknown host
 * does, and the reload mark, with which every answer is its connection's last. Both lead by codes to named locations,
 * where, other than after a `return` with a text, `deny` is looked at; 418 and 421 as an application's own answers pass
 * untouched.
 *
 * Throws `ingress_rejected` for a value that is not plainly an id, a host name, an IPv4 address or a port: the text is
 * well-formed for every input.
 */
export function renderServerBlock(route: Route, listener: EdgeListener): string {
  const { id, host, address, port } = checkRoute(route);
  return `${headerOf(id)}; do not edit, it is written anew.
upstream ${id} {
    server ${address}:${port};
    # Opening a connection is an application's slowest work. So each worker keeps more than are usually in use, and uses them
    # as often as it likes: after 1,000 requests, the default, all would be closed at about the same time.
    keepalive 128;
    keepalive_requests 1000000;
    # Shorter than applications keep theirs (Node 5 s, gunicorn 2 s): no request meets one that is closing.
    keepalive_timeout 1s;
}

server {
    listen ${checkAddress(listener.address)}:80;
    listen ${checkAddress(listener.address)}:8081;
    server_name ${host};

${listener.denied.map((subnet) => `    deny ${checkSubnet(subnet)};\n`).join("")}    allow all;

    # Disabled until this file is there; probes, on the internal port, always pass.
    set $enabled_flag ${FOLDER}/${flagOf(id)};
    if ($server_port = 8081) {
        set $enabled_flag ${ALWAYS_THERE};
    }
    # A reload is near: answer, and close the connection before Nginx does it at a worse moment.
    if (-f ${FOLDER}/${RELOAD_MARK}) {
        return 418;
    }

    recursive_error_pages on;
    error_page 418 = @closing;
    error_page 421 = @disabled;
    location / {
        if (!-f $enabled_flag) {
            return 421;
        }
        proxy_pass http://${id};
    }
    location @closing {
        keepalive_timeout 0;
        if (!-f $enabled_flag) {
            return 421;
        }
        proxy_pass http://${id};
    }
    location @disabled {
        error_page 404 @unknown;
        try_files /nonexistent =404;
    }
    location @unknown {
        default_type text/plain;
        return 404 "No environment found\\n";
    }

    # Nginx's own answers where the environment does not answer; the application's own errors pass as they are.
    error_page 502 @unreachable;
    error_page 504 @silent;
    location @unreachable {
        default_type text/plain;
        return 502 "Environment ${id} does not answer (502).\\n";
    }
    location @silent {
        default_type text/plain;
        return 504 "Environment ${id} does not answer in time (504).\\n";
    }
}
`;
}

/** The route that a text was generated from; null where the text is not just what renderServerBlock makes of it. */
export function parseServerBlock(text: string, listener: EdgeListener): Route | null {
  const [, id, address, port] = /^upstream (\S+) \{\n {4}server ([\d.]+):(\d{1,5});$/m.exec(text) ?? [];
  const host = /^ {4}server_name (\S+);$/m.exec(text)?.[1];
  if (id === undefined || address === undefined || host === undefined) return null;
  const route = { id, host, address, port: Number(port) };
  try {
    return renderServerBlock(route, listener) === text ? route : null;
  } catch {
    return null;
  }
}

/**
 * Whether the platform wrote a text into an environment's file, also an earlier release of it. An empty file counts: a
 * power cut can leave one, and Nginx minds none.
 */
export function isGeneratedFor(id: string, text: string): boolean {
  return text === "" || text.startsWith(`${headerOf(id)};`);
}

function headerOf(id: string): string {
  return `# Generated by the sandbox platform for ${id}`;
}

function checkRoute({ id, host, address, port }: Route): Route {
  if (typeof id !== "string" || !isEnvironmentId(id)) throw rejected("id", id, "it is not an environment's id");
  if (typeof host !== "string" || !HOST_NAME.test(host))
    throw rejected("host", host, "it is not a DNS name in lower case");
  if (typeof address !== "string" || !isUpstreamAddress(address))
    throw rejected("address", address, "it is not an IPv4 address of a container");
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw rejected("port", port, "it is not between 1 and 65535");
  return { id, host, address, port };
}

/** The subnet as it may stand in a configuration. Throws `ingress_rejected` when it is none. */
export function checkSubnet(subnet: string): string {
  try {
    parseSubnet(subnet);
  } catch (error) {
    throw rejected("subnet", subnet, "it is not a CIDR range", error);
  }
  if (!/^[0-9./]+$/.test(subnet)) throw rejected("subnet", subnet, "it is not a CIDR range");
  return subnet;
}

/** The address as it may stand in a `listen`. Throws `ingress_rejected` when it is none. */
export function checkAddress(address: string): string {
  if (isIPv4(address)) return address;
  throw rejected("address", address, "it is not an IPv4 address");
}

function isUpstreamAddress(text: string): boolean {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return false;
  try {
    const firstByte = Math.floor(parseAddress(text) / 2 ** 24);
    return !NO_UPSTREAM.has(firstByte) && firstByte < FIRST_MULTICAST;
  } catch {
    return false;
  }
}

function rejected(what: string, value: unknown, reason: string, cause?: unknown): PlatformError {
  return new PlatformError("ingress_rejected", `Cannot route ${what} ${JSON.stringify(value)}: ${reason}.`, { cause });
}
