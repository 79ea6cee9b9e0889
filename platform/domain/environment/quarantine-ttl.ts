/**
 * Whether an environment may still live although its state file is in quarantine `since` then (milliseconds since the
 * epoch, as `now`): it could not be extended after that, and no extension reaches further than `maxTtl` seconds.
 */
export function mayStillLive(since: number, maxTtl: number, now: number): boolean {
  return now < since + maxTtl * 1000;
}
