import { readFileSync } from "node:fs";
import { join } from "node:path";
import { visit } from "./api-client.ts";
import { hostOf, type PlatformUnderTest } from "./describe-platform.ts";
import { expectStatus } from "./expect-status.ts";
import { waitUntil } from "./wait-until.ts";

/** The promise is a minute; with a schedule of seconds a repair takes a few. */
export const REPAIRED_MS = 60_000;

/** Ways to look at a platform after drift; every wait lasts as long as a repair may take. */
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
    /** Waits for an event of a type with a text in it. */
    reported: (type: string, text: string) =>
      waitUntil(`${type} of ${text}`, () => events(type).some((line) => line.includes(text)), REPAIRED_MS),
    /** Waits until an environment answers through the edge proxy. */
    answers: (id: string) =>
      waitUntil(
        `${id} to answer`,
        async () => expectStatus(await visit(platform.instance, hostOf(id), "/health"), 200),
        REPAIRED_MS,
      ),
  };
}
