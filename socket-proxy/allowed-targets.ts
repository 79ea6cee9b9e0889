import type { Fields } from "./allowed-bodies.ts";
import type { AllowedCall, ParsedCall } from "./allowed-calls.ts";
import {
  containerKind,
  isNetworkName,
  networkKind,
  ownFilter,
  type ContainerKind,
  type Labels,
  type Platform,
} from "./ownership.ts";

/** Labels of the objects that a call names; undefined where it names none. */
export type Facts = {
  container?: Labels | undefined;
  network?: Labels | undefined;
  /** Whether the command was created through this proxy, which checked its container then. */
  isKnownCommand?: boolean | undefined;
};

/** The calls that the platform makes about each kind of container; about an environment's app, every allowed call. */
const CALLS: Record<Exclude<ContainerKind, "app">, ReadonlySet<AllowedCall>> = {
  helper: new Set<AllowedCall>([
    "GET /containers/{name}/json",
    "GET /containers/{name}/archive",
    "DELETE /containers/{name}",
  ]),
  nginx: new Set<AllowedCall>([
    "GET /containers/{name}/json",
    "POST /containers/{name}/start",
    "POST /containers/{name}/unpause",
    "POST /containers/{name}/kill",
    "POST /containers/{name}/exec",
    "POST /networks/{name}/connect",
    "POST /networks/{name}/disconnect",
  ]),
};

const NGINX_TEST = JSON.stringify(["nginx", "-t"]);
/** SIGKILL is half of a restart: the platform starts Nginx again next. */
const NGINX_SIGNALS: ReadonlySet<string | null> = new Set(["SIGHUP", "SIGKILL"]);

/** Why a call is refused because of the objects that it names; null where it is not. */
export function refuseTargets(parsed: ParsedCall, body: Fields, facts: Facts, platform: Platform): string | null {
  const { call, query } = parsed;
  if (call === "GET /containers/json" && query.get("filters") !== ownFilter(platform)) {
    return "it is not limited to this platform's containers";
  }
  if (facts.isKnownCommand === false) return "this command was not prepared here";
  return refuseContainer(parsed, body, facts, platform) ?? refuseNetwork(parsed, facts, platform);
}

function refuseContainer({ call, query }: ParsedCall, body: Fields, facts: Facts, platform: Platform): string | null {
  if (facts.container === undefined) return null;
  const kind = containerKind(facts.container, platform);
  if (kind === null) return "this container is not an environment's";
  if (kind === "app") return null;
  if (!CALLS[kind].has(call)) return `the platform does not do this to a container of the role ${kind}`;
  // Nginx's image has a shell: the platform tests the configuration in it and runs nothing else.
  if (call === "POST /containers/{name}/exec" && JSON.stringify(body["Cmd"]) !== NGINX_TEST) {
    return "in Nginx's container the platform runs nginx -t and nothing else";
  }
  if (call === "POST /containers/{name}/kill" && !NGINX_SIGNALS.has(query.get("signal"))) {
    return "Nginx is sent SIGHUP or SIGKILL and nothing else";
  }
  return null;
}

function refuseNetwork({ call, name }: ParsedCall, facts: Facts, platform: Platform): string | null {
  if (call === "POST /networks/{name}/disconnect" && facts.network === undefined) {
    return isNetworkName(name, platform) ? null : "this network is gone, and was not an environment's";
  }
  if (facts.network === undefined) return null;
  const kind = networkKind(facts.network, platform);
  if (kind === null) return "this network is not an environment's";
  if (kind === "environments" || call === "GET /networks/{name}") return null;
  // On the platform's own network an environment would reach Nginx's internal port.
  const isNginx = facts.container !== undefined && containerKind(facts.container, platform) === "nginx";
  if (call === "POST /networks/{name}/connect" && isNginx) return null;
  return "only Nginx is connected to the platform's own network, which stays";
}
