import { mayStillLive } from "../../domain/environment/lifetime.ts";
import type { Needs } from "../deps.ts";
import type { ActualState } from "./actual-state.ts";

const REASON =
  "its state file is in quarantine or cannot be read, so what belongs to it is left as it is. Put the file right and " +
  "restart the platform; or delete the file, in envs/ or envs/quarantine/, to give the environment up";

export type ProtectedEnvironments = ReturnType<typeof createProtectedEnvironments>;

/** Environments whose state file is in quarantine or cannot be read, so that a flipped bit destroys nothing that runs. */
export function createProtectedEnvironments(
  deps: Needs<"environments" | "locks" | "events" | "clock" | "logger" | "settings">,
) {
  const { environments, locks, events, clock, logger, settings } = deps;
  const counted = new Set<string>();

  function report(id: string, objects: string[]): void {
    const containers = objects.filter((object) => object.startsWith("container ")).map((object) => object.slice(10));
    logger.warn({ env_id: id, containers }, "environment without a readable state file is left alone");
    events.emit({ type: "drift.unrepaired", env_id: id, data: { reason: REASON, containers } });
  }

  return {
    /** The ids that count against the quotas, as of the last refresh. */
    counted: (): ReadonlySet<string> => counted,
    /**
     * The ids of those whose lifetime may last; none of them is an orphan. Those of which something is there are
     * reported, once each, and count against the quotas.
     */
    async refresh(actual: ActualState): Promise<ReadonlySet<string>> {
      const found = (await environments.quarantined()).filter(
        ({ id, since }) => !locks.isHeld(id) && mayStillLive(since, settings.maxTtl, clock.now()),
      );
      const ids = new Set(found.map(({ id }) => id));
      for (const id of counted) if (!ids.has(id) || !actual.environments.has(id)) counted.delete(id);
      for (const id of ids) {
        const present = actual.environments.get(id);
        if (present === undefined || counted.has(id)) continue;
        counted.add(id);
        report(id, present.objects);
      }
      return ids;
    },
  };
}
