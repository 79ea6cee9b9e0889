export type Labels = Record<string, unknown>;

/** The platform that the proxy serves: its instance, which labels its objects, and the range of its networks (CIDR). */
export type Platform = { instance: string; subnetPool: string };

const PLATFORM = "sandbox.platform";
const ENV = "sandbox.env";
const ROLE = "sandbox.role";

/** An environment's app, a helper that is never started, or Nginx. */
export type ContainerKind = "app" | "helper" | "nginx";

/**
 * The kind of a container with these labels. Null for containers that no call may touch: those of others, and the
 * platform's own that hold rights (the API, this proxy, the firewall, and any role that is not listed here).
 */
export function containerKind(labels: Labels, { instance }: Platform): ContainerKind | null {
  if (labels[PLATFORM] !== instance) return null;
  const role = labels[ROLE];
  if (role === "helper" || role === "nginx") return role;
  return role === "app" && isFilled(labels[ENV]) ? "app" : null;
}

/** Whether a network is for environments (also one in the pool, which has none yet), the platform's own, or of others. */
export function networkKind(labels: Labels, { instance }: Platform): "environments" | "platform" | null {
  if (labels[PLATFORM] !== instance) return null;
  if (labels[ROLE] === "network") return "environments";
  return labels[ROLE] === undefined ? "platform" : null;
}

/** The filter with which the platform lists its own containers. */
export function ownFilter({ instance }: Platform): string {
  return JSON.stringify({ label: [`${PLATFORM}=${instance}`] });
}

/** Names of environments' networks are never the beginning of an id, which the engine accepts as a name too. */
export function isNetworkName(name: unknown, { instance }: Platform): name is string {
  return typeof name === "string" && [`${instance}-env-`, `${instance}-net-`].some((start) => name.startsWith(start));
}

export function isContainerName(name: unknown, kind: ContainerKind, { instance }: Platform): boolean {
  return typeof name === "string" && name.startsWith(kind === "helper" ? `${instance}-helper-` : `${instance}-env-`);
}

function isFilled(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
