export type Labels = Record<string, unknown>;

/** Whose objects may be touched: the instance's, by label, and its networks' addresses (CIDR). */
export type Owner = { instance: string; subnetPool: string };

const PLATFORM = "sandbox.platform";
const ENV = "sandbox.env";
const ROLE = "sandbox.role";

/** An environment's app, a helper that is never started, or the front door. */
export type ContainerKind = "app" | "helper" | "nginx";

/**
 * What a container with these labels is to the platform. Null is nobody's to touch: it is not the platform's, or
 * it is one that holds the keys (the API, this proxy, the firewall, and whatever is added to them).
 */
export function containerKind(labels: Labels, { instance }: Owner): ContainerKind | null {
  if (labels[PLATFORM] !== instance) return null;
  const role = labels[ROLE];
  if (role === "helper" || role === "nginx") return role;
  return role === "app" && isFilled(labels[ENV]) ? "app" : null;
}

/** Whether a network is for environments (one made ahead has none yet), the platform's own, or not ours. */
export function networkKind(labels: Labels, { instance }: Owner): "environments" | "platform" | null {
  if (labels[PLATFORM] !== instance) return null;
  if (labels[ROLE] === "network") return "environments";
  return labels[ROLE] === undefined ? "platform" : null;
}

/** The filter with which the platform asks for its own containers. */
export function ownFilter({ instance }: Owner): string {
  return JSON.stringify({ label: [`${PLATFORM}=${instance}`] });
}

/** Names of environments' networks never are the beginning of an id, which the engine also takes for a name. */
export function isNetworkName(name: unknown, { instance }: Owner): name is string {
  return typeof name === "string" && [`${instance}-env-`, `${instance}-net-`].some((start) => name.startsWith(start));
}

export function isContainerName(name: unknown, kind: ContainerKind, { instance }: Owner): boolean {
  return typeof name === "string" && name.startsWith(kind === "helper" ? `${instance}-helper-` : `${instance}-env-`);
}

function isFilled(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
