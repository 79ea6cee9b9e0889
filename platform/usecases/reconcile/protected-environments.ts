import { mayStillLive } from "../../domain/environment/quarantine-ttl.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { KeyedLock } from "../../kernel/keyed-lock.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { ActualState } from "./actual-state.ts";

export type ProtectedEnvironmentsDeps = {
  environments: Pick<EnvironmentStore, "quarantined">;
  locks: Pick<KeyedLock, "isHeld">;
  events: Pick<EventLog, "emit">;
  clock: Pick<Clock, "now">;
  logger: Pick<Logger, "warn">;
  settings: { maxTtl: number };
};

/** Environments whose state file is in quarantine or cannot be read, so that a flipped bit destroys nothing that runs. */
export type ProtectedEnvironments = {
  /**
   * The ids of those whose lifetime may last; none of them is an orphan. Those of which something is there are
   * reported, once each, and count against the quotas.
   */
  refresh(actual: ActualState): Promise<ReadonlySet<string>>;
  /** The ids that count against the quotas, as of the last refresh. */
  counted(): ReadonlySet<string>;
};

export function createProtectedEnvironments(deps: ProtectedEnvironmentsDeps): ProtectedEnvironments {
  const { environments, locks, events, clock, logger, settings } = deps;
  const counted = new Set<string>();

  function report(id: string, objects: string[]): void {
    const containers = objects.filter((object) => object.startsWith("container ")).map((object) => object.slice(10));
    const reason =
      "its state file is in quarantine or cannot be read, so what belongs to it is left as it is. Put the file right and " +
      "restart the platform; or delete the file, in envs/ or envs/quarantine/, to give the environment up";
    logger.warn({ env_id: id, containers }, "environment without a readable state file is left alone");
    events.emit({ type: "drift.unrepaired", env_id: id, data: { reason, containers } });
  }

  return {
    counted: () => counted,
    async refresh(actual) {
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
