import { extendLifetime } from "../../domain/environment/lifetime.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { KeyedLock } from "../../kernel/keyed-lock.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import { findLiving } from "./find-environment.ts";

export type ExtensionDeps = {
  environments: EnvironmentStore;
  events: Pick<EventLog, "emit">;
  locks: KeyedLock;
  clock: Pick<Clock, "now">;
  settings: { maxTtl: number };
};

/** Moves an environment's end `seconds` later, at most MAX_TTL from now; never sooner. */
export type ExtendEnvironment = (id: string, seconds: number) => Promise<EnvironmentRecord>;

export function createExtension({ environments, events, locks, clock, settings }: ExtensionDeps): ExtendEnvironment {
  return async (id, seconds) => {
    findLiving(environments, id);
    return locks.run(id, async () => {
      const record = extendLifetime(findLiving(environments, id), seconds, settings.maxTtl, clock.now());
      await environments.save(record);
      events.emit({ type: "environment.extended", env_id: id, data: { expires_at: record.expires_at } });
      return record;
    });
  };
}
