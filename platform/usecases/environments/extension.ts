import { extendLifetime } from "../../domain/environment/lifetime.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { Needs } from "../deps.ts";
import { findLiving } from "./find-environment.ts";

type ExtensionDeps = Needs<"environments" | "events" | "locks" | "clock" | "settings">;

/** Moves an environment's end `seconds` later, at most MAX_TTL from now; never sooner. */
export function createExtension({ environments, events, locks, clock, settings }: ExtensionDeps) {
  return async (id: string, seconds: number): Promise<EnvironmentRecord> => {
    findLiving(environments, id);
    return locks.run(id, async () => {
      const record = extendLifetime(findLiving(environments, id), seconds, settings.maxTtl, clock.now());
      await environments.save(record);
      events.emit({ type: "environment.extended", env_id: id, data: { expires_at: record.expires_at } });
      return record;
    });
  };
}
