/**
 * Whether an environment whose state file was set aside at `since` may still be within its lifetime:
 * nobody could extend it after that, and no extension reaches further than `maxTtl` seconds. Until
 * then whatever carries its label is left alone; both times in milliseconds since the epoch.
 */
export function mayStillLive(since: number, maxTtl: number, now: number): boolean {
  return now < since + maxTtl * 1000;
}
