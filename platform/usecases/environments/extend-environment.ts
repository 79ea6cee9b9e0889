import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { extendLifetime } from "../../domain/environment/lifetime.ts";
import type { Context } from "../context.ts";
import { findLiving } from "./find-environment.ts";

/** Moves an environment's end `seconds` later, at most MAX_TTL from now; never sooner. */
export async function extendEnvironment(context: Context, id: string, seconds: number): Promise<EnvironmentRecord> {
  findLiving(context, id);
  return context.locks.run(id, async () => {
    const record = extendLifetime(findLiving(context, id), seconds, context.settings.maxTtl, context.clock.now());
    await context.environments.save(record);
    context.events.emit({ type: "environment.extended", env_id: id, data: { expires_at: record.expires_at } });
    return record;
  });
}
