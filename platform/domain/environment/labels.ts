/** Labels on every Docker object the platform owns. Nothing without our instance label is ever removed. */
export const LABEL_PLATFORM = "sandbox.platform";
export const LABEL_ENV = "sandbox.env";
export const LABEL_SERVICE = "sandbox.service";
export const LABEL_ROLE = "sandbox.role";

/** What an object of ours is for: an environment's app or network, the platform's own parts, a helper container. */
export type ObjectRole = "app" | "network" | "nginx" | "api" | "helper";

/** Labels of an object that belongs to one environment. */
export function environmentLabels(
  instance: string,
  id: string,
  role: ObjectRole,
  service?: string,
): Record<string, string> {
  return {
    [LABEL_PLATFORM]: instance,
    [LABEL_ENV]: id,
    [LABEL_ROLE]: role,
    ...(service === undefined ? {} : { [LABEL_SERVICE]: service }),
  };
}

/** Labels of a network made ahead: the record of the environment that takes it says whose it is, as labels cannot change. */
export function pooledNetworkLabels(instance: string): Record<string, string> {
  return { [LABEL_PLATFORM]: instance, [LABEL_ROLE]: "network" };
}

/** Whether these labels are those of this instance. */
export function isOurs(labels: Record<string, string>, instance: string): boolean {
  return labels[LABEL_PLATFORM] === instance;
}

/** Whether these labels are those of an app container of this very environment: the only thing an outage may touch. */
export function isAppOf(labels: Record<string, string>, instance: string, id: string): boolean {
  return isOurs(labels, instance) && labels[LABEL_ENV] === id && labels[LABEL_ROLE] === "app";
}
