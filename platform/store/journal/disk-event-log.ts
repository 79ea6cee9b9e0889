import { join } from "node:path";
import { z } from "zod";
import { describeError } from "../../kernel/errors.ts";
import type { PlatformEvent } from "../../domain/events.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/logger.ts";
import { createEventRing } from "./event-ring.ts";
import { createJournalFile } from "./journal-file.ts";
import { parseAs } from "../files/parse-as.ts";
import type { EventLog } from "./event-log.ts";

const EVENTS_FILE = "events.jsonl";
const KEPT_FILES = 3;
const HELD_EVENTS = 1_000;

const EventSchema = z.looseObject({
  id: z.int().positive(),
  timestamp: z.string(),
  type: z.string(),
  env_id: z.string().nullable(),
});

export type EventLogOptions = { folder: string; maxSize: number; clock?: Clock; logger?: Pick<Logger, "warn"> };

/**
 * Events in `<folder>/events.jsonl`, rotated at `maxSize` bytes. Starts with the last events of the file, so that ids
 * ascend and a reader resumes across restarts. Never fails to start: the logger is told of a file that cannot be read.
 */
export async function createDiskEventLog({
  folder,
  maxSize,
  clock = systemClock,
  logger,
}: EventLogOptions): Promise<EventLog> {
  const ring = createEventRing(HELD_EVENTS);
  const file = createJournalFile({
    path: join(folder, EVENTS_FILE),
    maxSize,
    keep: KEPT_FILES,
    onFailure: (error) =>
      logger?.warn({ reason: describeError(error) }, "cannot write events; the next event tries again"),
    onLoss: () => logger?.warn("too many events wait to be written: the oldest are missing in the file"),
  });
  // The time is above the last id where the file cannot be read: there are fewer than a thousand events a second.
  let lastId = clock.now();
  try {
    for (const event of await file.readLast(HELD_EVENTS, descendingEvents())) ring.push(event);
    lastId = ring.lastId();
  } catch (error) {
    logger?.warn({ reason: describeError(error) }, "cannot read former events; ids go on from the time");
  }

  return {
    emit(news) {
      const event = withJsonForm({ id: ++lastId, timestamp: clock.timestamp(), ...news });
      ring.push(event);
      file.write(event);
      return event;
    },
    subscribe: ring.subscribe,
    async close() {
      ring.close();
      await file.close();
    },
  };
}

/** Takes an event of the file, read backwards, unless its id does not descend: then it is no number of this log. */
function descendingEvents(): (line: string) => PlatformEvent | null {
  let next = Number.POSITIVE_INFINITY;
  return (line) => {
    // The types of another version are passed on as they are.
    const event = parseAs(EventSchema, line) as PlatformEvent | null;
    if (event === null || event.id >= next) return null;
    next = event.id;
    return event;
  };
}

/** The event, without data that has no JSON form and could be neither written nor sent. */
function withJsonForm(event: PlatformEvent): PlatformEvent {
  try {
    JSON.stringify(event.data);
    return event;
  } catch {
    return { ...event, data: { unserialisable: true } };
  }
}
