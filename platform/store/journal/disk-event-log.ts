import { join } from "node:path";
import { z } from "zod";
import { describeError } from "../../kernel/errors.ts";
import type { PlatformEvent } from "../../domain/events.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/logger.ts";
import { createEventRing } from "./event-ring.ts";
import { chainBackwards, closeFiles, openChain } from "../files/file-chain.ts";
import { createLineWriter } from "../files/line-writer.ts";
import { createRotatingFile } from "../files/rotating-file.ts";
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
 * Events in `<folder>/events.jsonl`, rotated at `maxSize` bytes. Starts with the last ones of the file
 * in memory, so that ids ascend and a reader resumes across restarts. Never fails to start: events
 * that cannot be read are told to the logger and left.
 */
export async function createDiskEventLog({
  folder,
  maxSize,
  clock = systemClock,
  logger,
}: EventLogOptions): Promise<EventLog> {
  const path = join(folder, EVENTS_FILE);
  const ring = createEventRing(HELD_EVENTS);
  const file = createRotatingFile({ path, maxSize, keep: KEPT_FILES });
  const writer = createLineWriter(file, {
    onFailure: (error) =>
      logger?.warn({ reason: describeError(error) }, "cannot write events; the next event tries again"),
    onLoss: () => logger?.warn("too many events wait to be written: the oldest are missing in the file"),
  });
  // Where the file cannot tell the last id, the time is surely above it: nobody emits a thousand events a second for long.
  let lastId = clock.now();
  try {
    for (const event of await readLastEvents(path)) ring.push(event);
    lastId = ring.lastId();
  } catch (error) {
    logger?.warn({ reason: describeError(error) }, "cannot read former events; ids go on from the time");
  }

  return {
    emit(news) {
      const event = withJsonForm({ id: ++lastId, timestamp: clock.timestamp(), ...news });
      ring.push(event);
      writer.write(`${JSON.stringify(event)}\n`);
      return event;
    },
    subscribe: ring.subscribe,
    async close() {
      ring.close();
      await writer.flush();
      await file.close().catch(() => undefined); // what could not be written has been told
    },
  };
}

async function readLastEvents(path: string): Promise<PlatformEvent[]> {
  const files = await openChain(path, KEPT_FILES);
  const found: PlatformEvent[] = [];
  try {
    for await (const batch of chainBackwards(files)) {
      for (const line of batch) {
        const event = parseEvent(line);
        // Backwards they must descend; what does not is no number of ours.
        if (event !== null && event.id < (found.at(-1)?.id ?? Number.POSITIVE_INFINITY)) found.push(event);
        if (found.length >= HELD_EVENTS) return found.toReversed();
      }
    }
    return found.toReversed();
  } finally {
    await closeFiles(files);
  }
}

function parseEvent(line: string): PlatformEvent | null {
  try {
    const parsed = EventSchema.parse(JSON.parse(line));
    // The types of another version are passed on as they are.
    return parsed as unknown as PlatformEvent;
  } catch {
    return null;
  }
}

/** The event as it is, or without data that could be neither written nor sent. */
function withJsonForm(event: PlatformEvent): PlatformEvent {
  try {
    JSON.stringify(event.data);
    return event;
  } catch {
    return { ...event, data: { unserialisable: true } };
  }
}
