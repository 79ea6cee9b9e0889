import type { EnvironmentRecord } from "./environment/record.ts";
import type { Observed } from "./plan/plan.ts";

/**
 * Whether what an outage broke is not broken any more, though nobody recovered it: the machine or the engine was
 * restarted, or somebody put it right by hand. A record that went on claiming it would be a lie until its end.
 * Stress shows in no state; it only ends with its container's run.
 */
export function isOutageGone({ outage, services }: EnvironmentRecord, observed: Observed): boolean {
  const service = services.find(({ name }) => name === outage?.service);
  const container = service === undefined ? undefined : observed.containers[service.container];
  if (outage === null || container === undefined) return false;
  switch (outage.mode) {
    case "crash":
      return container.state === "running" || container.state === "paused";
    case "pause":
      return container.state !== "paused";
    case "network":
      return container.connected;
    case "stress":
      return container.state !== "running" && container.state !== "paused";
  }
}
