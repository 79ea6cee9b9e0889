import type { Fields } from "./allowed-bodies.ts";
import type { AllowedCall, Asked } from "./allowed-calls.ts";
import {
  containerKind,
  isNetworkName,
  networkKind,
  ownFilter,
  type ContainerKind,
  type Labels,
  type Owner,
} from "./ownership.ts";

/** What is known of the objects that a call names; what it does not name is undefined. */
export type Facts = {
  container?: Labels | undefined;
  network?: Labels | undefined;
  /** Whether the command was prepared through this proxy, which then looked at its container. */
  isKnownCommand?: boolean | undefined;
};

/** What the platform does to each kind of container; to an environment's app, everything that is in the list. */
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

const NGINX_SIGNALS: ReadonlySet<string | null> = new Set(["SIGHUP", "SIGKILL"]);

/** Why a call is not let through, given whose the objects are that it names; null where nothing is wrong with it. */
export function decide(asked: Asked, body: Fields, facts: Facts, owner: Owner): string | null {
  const { call, query } = asked;
  if (call === "GET /containers/json" && query.get("filters") !== ownFilter(owner)) {
    return "it is not limited to this platform's containers";
  }
  if (facts.isKnownCommand === false) return "this command was not prepared here";
  return decideContainer(asked, body, facts, owner) ?? decideNetwork(asked, facts, owner);
}

function decideContainer({ call, query }: Asked, body: Fields, facts: Facts, owner: Owner): string | null {
  if (facts.container === undefined) return null;
  const kind = containerKind(facts.container, owner);
  if (kind === null) return "this container is not an environment's";
  if (kind === "app") return null;
  if (!CALLS[kind].has(call)) return `the platform does not do this to a container of the role ${kind}`;
  // Nginx's image holds a shell; the platform tests its configuration and has it taken up, and that is all.
  if (call === "POST /containers/{name}/exec" && JSON.stringify(body["Cmd"]) !== NGINX_TEST) {
    return "in Nginx's container the platform runs nginx -t and nothing else";
  }
  // SIGKILL is half of a restart: it is started again next.
  if (call === "POST /containers/{name}/kill" && !NGINX_SIGNALS.has(query.get("signal"))) {
    return "Nginx is sent SIGHUP or SIGKILL and nothing else";
  }
  return null;
}

function decideNetwork({ call, name }: Asked, facts: Facts, owner: Owner): string | null {
  if (call === "POST /networks/{name}/disconnect" && facts.network === undefined) {
    return isNetworkName(name, owner) ? null : "this network is gone, and was not an environment's";
  }
  if (facts.network === undefined) return null;
  const kind = networkKind(facts.network, owner);
  if (kind === null) return "this network is not an environment's";
  if (kind === "environments" || call === "GET /networks/{name}") return null;
  // Beyond the platform's own network nothing keeps an environment from Nginx's internal port.
  const isNginx = facts.container !== undefined && containerKind(facts.container, owner) === "nginx";
  if (call === "POST /networks/{name}/connect" && isNginx) return null;
  return "nothing but Nginx comes onto the platform's own network, and it stays";
}
