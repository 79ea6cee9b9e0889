import type { OutageMode } from "../domain/environment/record.ts";
import type { ServiceRef, Workloads } from "../workloads/workloads.ts";

/** The service that a fault breaks; the caller has checked that it may be broken. */
export type FaultTarget = { workloads: Workloads; ref: ServiceRef; stressImage: string };

/**
 * One way to break an environment. `prepare` brings what that takes and breaks nothing yet, so it comes before the
 * outage is on record. `inject` breaks the service and returns once it is broken. The planner undoes it
 * (domain/plan/plan.ts), by looking at what is wrong; `stop` is for faults that no state shows, and throws while the
 * fault goes on. docs/adding-an-outage.md walks through a new one.
 */
export type Fault = {
  mode: OutageMode;
  /** Seconds it lasts unless the caller says so; null: until recovered. */
  defaultDuration: number | null;
  prepare?(target: FaultTarget): Promise<void>;
  /** `duration` in seconds, or null. */
  inject(target: FaultTarget, duration: number | null): Promise<void>;
  stop?(target: FaultTarget): Promise<void>;
};
