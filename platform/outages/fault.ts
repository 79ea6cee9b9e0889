import type { Engine } from "../workloads/docker/engine.ts";
import type { OutageMode } from "../domain/environment/record.ts";

/** What a fault works on: one app container, already checked by the guard. */
export type FaultTarget = { engine: Engine; container: string; network: string; stressImage: string };

/**
 * One way to break an environment. `prepare` brings what that takes and breaks nothing yet, so it comes before the
 * outage is on record. `inject` breaks it and returns once it is broken. Undoing is the planner's work (domain/plan/plan.ts),
 * which looks at what is wrong; `stop` is for what no container state shows, and throws while that goes on.
 * docs/adding-an-outage.md walks through a new one.
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
