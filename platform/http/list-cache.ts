import { maySee, seesAll, type Caller } from "../domain/access/caller.ts";
import type { EnvironmentRecord } from "../domain/environment/record.ts";
import type { EnvironmentView } from "../domain/environment/view.ts";

/** For so long `ttl_remaining` is right enough, in milliseconds. */
const FRESH_MS = 100;

/** Gives the body of `GET /envs` for a caller; `records` is one and the same array until a record has changed. */
export type ListCache = (records: readonly EnvironmentRecord[], caller: Caller, now: number) => Buffer;

/**
 * Keeps lists as JSON until a record changes, or for 100 ms: a long list rendered for each request has Node collect
 * garbage once a second, while every request waits (docs/performance.md).
 */
export function createListCache(view: (record: EnvironmentRecord, now: number) => EnvironmentView): ListCache {
  let cached: readonly EnvironmentRecord[] | null = null;
  let at = 0;
  /** By the owner whose environments are listed; null: all environments. */
  let bodies = new Map<string | null, Buffer>();

  return (records, caller, now) => {
    // By the wall clock, which may be set back.
    if (records !== cached || Math.abs(now - at) >= FRESH_MS) {
      cached = records;
      at = now;
      bodies = new Map();
    }
    const key = seesAll(caller) ? null : (caller.name ?? "");
    const kept = bodies.get(key);
    if (kept !== undefined) return kept;
    const visible = records.filter(({ owner }) => maySee(caller, owner));
    const body = Buffer.from(JSON.stringify(visible.map((record) => view(record, at))));
    bodies.set(key, body);
    return body;
  };
}
