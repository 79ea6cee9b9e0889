import { maySee, seesAll, type Caller } from "../domain/access/caller.ts";
import type { EnvironmentRecord } from "../domain/environment/record.ts";
import type { EnvironmentView } from "../domain/environment/view.ts";

/** For so long a list is right enough about the seconds that are left: milliseconds. */
const FRESH_MS = 100;

/** Gives the body of `GET /envs` for a caller; `records` is one and the same array until any record has changed. */
export type ListCache = (records: readonly EnvironmentRecord[], caller: Caller, now: number) => Buffer;

/**
 * Lists as JSON, made anew when a record has changed, and every 100 ms for the sake of `ttl_remaining`. One of 200
 * environments is 140 KB: made for each request, it has Node collect garbage once a second while everybody waits
 * (docs/performance.md).
 */
export function createListCache(view: (record: EnvironmentRecord, now: number) => EnvironmentView): ListCache {
  let of: readonly EnvironmentRecord[] | null = null;
  let at = 0;
  /** By whose environments are in it; null: everybody's. */
  let bodies = new Map<string | null, Buffer>();

  return (records, caller, now) => {
    // By the wall clock, which may be set back.
    if (records !== of || Math.abs(now - at) >= FRESH_MS) {
      of = records;
      at = now;
      bodies = new Map();
    }
    const key = seesAll(caller) ? null : (caller.name ?? "");
    const body =
      bodies.get(key) ?? Buffer.from(JSON.stringify(seenBy(caller, records).map((record) => view(record, at))));
    bodies.set(key, body);
    return body;
  };
}

function seenBy(caller: Caller, records: readonly EnvironmentRecord[]): EnvironmentRecord[] {
  return records.filter(({ owner }) => maySee(caller, owner));
}
