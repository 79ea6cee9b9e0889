import type { EnvironmentRecord } from "./environment/record.ts";
import type { Observed } from "./plan/observed.ts";

/**
 * Whether an outage is over although no call recovered it: the machine or the engine was restarted, or an operator
 * repaired the container by hand. Stress shows in no state; it only ends with the run of its container.
 */
export function isOutageGone({ outage }: EnvironmentRecord, observed: Observed): boolean {
  const service = outage === null ? undefined : observed.services[outage.service];
  if (outage === null || service === undefined || service.state === "unknown") return false;
  const isUp = service.state === "running" || service.state === "paused";
  switch (outage.mode) {
    case "crash":
      return isUp;
    case "pause":
      return service.state !== "paused";
    case "network":
      return service.connected;
    case "stress":
      return !isUp;
  }
}
