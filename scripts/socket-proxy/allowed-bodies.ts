import type { AllowedCall } from "./allowed-calls.ts";

/** What a container may be given beyond an image, a command and a network: its limits, and nothing of the machine. */
const HOST_FIELDS = new Set([
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
]);
const CONTAINER_FIELDS = new Set(["Image", "Labels", "Env", "Cmd", "HostConfig", "NetworkingConfig"]);
const EXEC_FIELDS = new Set(["Cmd", "User", "AttachStdout", "AttachStderr"]);
const NETWORK_FIELDS = new Set([
  "Name",
  "Driver",
  "CheckDuplicate",
  "Internal",
  "EnableIPv6",
  "IPAM",
  "Labels",
  "Options",
]);
const CAPABILITIES = new Set(["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"]);
/** Not the machine's network, nor another container's. */
const NETWORK_MODE = /^(?!host$)[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

type Fields = Record<string, unknown>;

/** The calls that could ask for the machine itself; the bodies of all others hold nothing of the kind. */
const CHECKS: Partial<Record<AllowedCall, (body: Fields) => string | null>> = {
  "POST /containers/create": checkContainer,
  "POST /containers/{name}/exec": (body) => unknownField(body, EXEC_FIELDS),
  "POST /networks/create": checkNetwork,
};

/** Whether this call's body must be looked at before it goes on. */
export function hasCheckedBody(call: AllowedCall): boolean {
  return CHECKS[call] !== undefined;
}

/** Why a body is not let through, or null where nothing is wrong with it. */
export function refuseBody(call: AllowedCall, body: unknown): string | null {
  return isFields(body) ? (CHECKS[call]?.(body) ?? null) : "the body is not a JSON object";
}

function checkContainer(body: Fields): string | null {
  const unknown = unknownField(body, CONTAINER_FIELDS);
  if (unknown !== null) return unknown;
  const host = body["HostConfig"];
  if (!isFields(host)) return "HostConfig is missing";
  const { NetworkMode: network, CapAdd: added, SecurityOpt: security, LogConfig: log } = host;
  if (typeof network !== "string" || !NETWORK_MODE.test(network)) return "NetworkMode is not a network's name";
  if (!isSubset(added, CAPABILITIES)) return "CapAdd goes beyond what environments have";
  if (!isSubset(security, new Set(["no-new-privileges:true"]))) return "SecurityOpt takes protection away";
  if (log !== undefined && !(isFields(log) && log["Type"] === "json-file")) return "LogConfig is not json-file";
  return unknownField(host, HOST_FIELDS);
}

function checkNetwork(body: Fields): string | null {
  if (body["Driver"] !== "bridge") return "Driver is not bridge";
  const options = body["Options"];
  if (!isFields(options) || Object.keys(options).length > 0) return "Options are given";
  return unknownField(body, NETWORK_FIELDS);
}

function unknownField(body: Fields, known: ReadonlySet<string>): string | null {
  const unknown = Object.keys(body).find((field) => !known.has(field));
  return unknown === undefined ? null : `${unknown} is not a field that the platform uses`;
}

function isSubset(values: unknown, allowed: ReadonlySet<string>): boolean {
  return values === undefined || (Array.isArray(values) && values.every((value) => allowed.has(value as string)));
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
