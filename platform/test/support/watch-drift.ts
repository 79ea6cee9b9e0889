import { readFileSync } from "node:fs";
import { join } from "node:path";
import { visit } from "./api-client.ts";
import { hostOf, type PlatformUnderTest } from "./describe-platform.ts";
import { expectStatus } from "./expect-status.ts";
import { waitUntil } from "./wait-until.ts";

/** What the platform promises. The schedule says every 2 s, so that it rarely takes longer than a few seconds. */
export const REPAIRED_MS = 60_000;

/** Where to look, and what to wait for, after something of a platform was spoilt; every wait is as long as a repair may take. */
export function watchDrift(platform: PlatformUnderTest) {
  const inFolder = (...path: string[]): string => join(platform.instance.folder, ...path);
  const events = (type: string): string[] =>
    readFileSync(inFolder("logs/events.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.includes(`"${type}"`));
  return {
    nginx: () => `${platform.instance.name}-nginx`,
    inFolder,
    /** The lines of all events of a type. */
    events,
    /** Until an event of a type tells of something. */
    told: (type: string, what: string) =>
      waitUntil(`${type} of ${what}`, () => events(type).some((line) => line.includes(what)), REPAIRED_MS),
    /** Until an environment answers through the front door. */
    answers: (id: string) =>
      waitUntil(
        `${id} to answer`,
        async () => expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200),
        REPAIRED_MS,
      ),
  };
}
