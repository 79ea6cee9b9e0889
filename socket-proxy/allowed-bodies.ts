import { BlockList, isIPv4 } from "node:net";
import { isName, type AllowedCall, type ParsedCall } from "./allowed-calls.ts";
import { containerKind, isContainerName, isNetworkName, networkKind, type Platform } from "./ownership.ts";

/** The host fields of an app: its limits and network, and nothing of the machine. */
const HOST_FIELDS = [
  "NetworkMode",
  "Memory",
  "MemorySwap",
  "NanoCpus",
  "PidsLimit",
  "CapDrop",
  "CapAdd",
  "SecurityOpt",
  "Init",
  "LogConfig",
  "RestartPolicy",
  "Dns",
  "DnsOptions",
];
const CONTAINER_FIELDS = ["Image", "Labels", "Env", "Cmd", "HostConfig", "NetworkingConfig"];
const EXEC_FIELDS = ["Cmd", "User", "AttachStdout", "AttachStderr"];
const NETWORK_FIELDS = ["Name", "Driver", "CheckDuplicate", "Internal", "EnableIPv6", "IPAM", "Labels", "Options"];
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];
const PROTECTION = ["no-new-privileges:true"];
const LIMITS = ["Memory", "NanoCpus", "PidsLimit"];
/** As in platform/workloads/docker/container-spec.ts, which the proxy's container does not have. */
const LOG_OPTIONS = { "max-size": "50m", "max-file": "2" };
const NETWORK_OPTIONS = { "com.docker.network.bridge.enable_ip_masquerade": "false" };

export type Fields = Record<string, unknown>;

type Check = (body: Fields, platform: Platform, parsed: ParsedCall) => string | null;

/** The calls with a JSON body. The engine gets no other body, except for the archive of a PUT. */
const CHECKS: Partial<Record<AllowedCall, Check>> = {
  "POST /containers/create": checkContainer,
  "POST /containers/{name}/exec": (body) => unknownField(body, EXEC_FIELDS),
  "POST /exec/{name}/start": (body) => unknownField(body, ["Detach", "Tty"]),
  "POST /networks/create": checkNetwork,
  "POST /networks/{name}/connect": checkConnection,
  "POST /networks/{name}/disconnect": (body) => unknownField(body, ["Container", "Force"]),
};

/** Whether this call has a JSON body. */
export function hasJsonBody(call: AllowedCall): boolean {
  return CHECKS[call] !== undefined;
}

/** Why the body is refused, or null. */
export function refuseBody(parsed: ParsedCall, body: unknown, platform: Platform): string | null {
  if (!isFields(body)) return "the body is not a JSON object of a reasonable size";
  return CHECKS[parsed.call]?.(body, platform, parsed) ?? null;
}

function checkContainer(body: Fields, platform: Platform, { query }: ParsedCall): string | null {
  const { HostConfig: host, Labels: labels } = body;
  if (!isFields(labels)) return "Labels are missing";
  const kind = containerKind(labels, platform);
  if (kind !== "app" && kind !== "helper") return "Labels are not those of an environment's container or of a helper";
  if (!isContainerName(query.get("name"), kind, platform)) return "its name is not one that the platform gives";
  if (!isFields(host)) return "HostConfig is missing";
  const unknown = unknownField(body, CONTAINER_FIELDS);
  if (unknown !== null) return unknown;
  return kind === "app" ? checkApp(body, host, platform) : checkHelper(body, host);
}

function checkApp({ NetworkingConfig: networking = {} }: Fields, host: Fields, platform: Platform): string | null {
  const { NetworkMode: network, CapDrop: dropped, CapAdd: added, SecurityOpt: security, LogConfig: log } = host;
  // The network may be created after its containers, so that only its name can be checked.
  if (!isNetworkName(network, platform)) return "NetworkMode is not an environment's network";
  if (!isFields(networking)) return "NetworkingConfig is not an object";
  const { EndpointsConfig: endpoints = {} } = networking;
  if (!isFields(endpoints)) return "EndpointsConfig is not an object";
  if (Object.keys(endpoints).some((name) => name !== network)) return "EndpointsConfig names another network";
  if (!isList(dropped, ["ALL"]) || dropped.length === 0) return "CapDrop is not ALL";
  if (added !== undefined && !isList(added, CAPABILITIES)) return "CapAdd goes beyond what environments have";
  if (!isList(security, PROTECTION) || security.length === 0) return "SecurityOpt is not no-new-privileges";
  if (!isBoundedLog(log)) return "LogConfig is not json-file of the usual size";
  return (
    unknownField(host, HOST_FIELDS) ??
    missingLimit(host) ??
    unknownField(networking, ["EndpointsConfig"]) ??
    (network in endpoints ? checkEndpoint(endpoints[network]) : null)
  );
}

/** A helper is never started, so that it needs no limits and no network. */
function checkHelper({ NetworkingConfig: networking }: Fields, host: Fields): string | null {
  if (networking !== undefined || host["NetworkMode"] !== "none") return "a helper has no network";
  return unknownField(host, ["NetworkMode"]);
}

/** NetworkID is among the refused fields: the engine would prefer it to the network that the call names. */
function checkEndpoint(endpoint: unknown): string | null {
  if (!isFields(endpoint)) return "an endpoint is not an object";
  const { IPAMConfig: addresses = {} } = endpoint;
  if (!isFields(addresses)) return "IPAMConfig is not an object";
  return unknownField(endpoint, ["IPAMConfig", "Aliases"]) ?? unknownField(addresses, ["IPv4Address"]);
}

function checkConnection(body: Fields): string | null {
  if (!isName(body["Container"])) return "Container is not a name";
  return unknownField(body, ["Container", "EndpointConfig"]) ?? checkEndpoint(body["EndpointConfig"]);
}

function checkNetwork(body: Fields, platform: Platform): string | null {
  const { Driver: driver, IPAM: ipam, Labels: labels, Name: name, Options: options } = body;
  if (driver !== "bridge") return "Driver is not bridge";
  if (!isJust(options, NETWORK_OPTIONS)) return "Options are not those that the platform gives";
  if (!isFields(labels) || networkKind(labels, platform) !== "environments") return "Labels are not those of a network";
  if (!isNetworkName(name, platform)) return "its name is not one that the platform gives";
  return unknownField(body, NETWORK_FIELDS) ?? checkAddresses(ipam, platform);
}

/** Outside the pool the firewall does not cover a network, and it may shadow the machine's own routes. */
function checkAddresses(ipam: unknown, { subnetPool }: Platform): string | null {
  if (!isFields(ipam) || ipam["Driver"] !== "default" || !Array.isArray(ipam["Config"])) return "IPAM is not default";
  const [range, ...more] = ipam["Config"] as unknown[];
  if (!isFields(range) || more.length > 0 || !isInside(range["Subnet"], subnetPool)) {
    return "IPAM is not one subnet of the platform's pool";
  }
  return unknownField(ipam, ["Driver", "Config"]) ?? unknownField(range, ["Subnet", "Gateway"]);
}

function isInside(subnet: unknown, pool: string): boolean {
  const [address = "", prefix = ""] = typeof subnet === "string" ? subnet.split("/") : [];
  const [base = "", poolPrefix = ""] = pool.split("/");
  const range = new BlockList();
  range.addSubnet(base, Number(poolPrefix), "ipv4");
  return isIPv4(address) && /^\d+$/.test(prefix) && Number(prefix) >= Number(poolPrefix) && range.check(address);
}

/** The engine takes 0, -1 and a missing field for no limit, of swap as well. */
function missingLimit(host: Fields): string | null {
  const without = LIMITS.find((limit) => !(Number.isSafeInteger(host[limit]) && (host[limit] as number) > 0));
  if (without !== undefined) return `${without} is not a limit`;
  return host["MemorySwap"] === host["Memory"] ? null : "MemorySwap is not Memory";
}

function isBoundedLog(log: unknown): boolean {
  if (!isFields(log) || log["Type"] !== "json-file" || unknownField(log, ["Type", "Config"]) !== null) return false;
  return isJust(log["Config"], LOG_OPTIONS);
}

function isJust(options: unknown, wanted: Record<string, string>): boolean {
  const given = Object.entries(wanted);
  return (
    isFields(options) &&
    Object.keys(options).length === given.length &&
    given.every(([option, value]) => options[option] === value)
  );
}

/** The engine also accepts `privileged` for `Privileged`, so that only fields in the exact spelling pass. */
function unknownField(body: Fields, known: readonly string[]): string | null {
  const unknown = Object.keys(body).find((field) => !known.includes(field));
  return unknown === undefined ? null : `${unknown} is not a field that the platform uses`;
}

function isList(values: unknown, allowed: readonly string[]): values is string[] {
  return Array.isArray(values) && values.every((value) => allowed.includes(value as string));
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
