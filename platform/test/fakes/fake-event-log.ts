import type { PlatformEvent } from "../../domain/events.ts";
import { systemClock, type Clock } from "../../kernel/clock.ts";
import { createEventRing } from "../../store/journal/event-ring.ts";
import type { EventLog } from "../../store/journal/event-log.ts";

/** An EventLog without a disk. `emitted` is everything it was told, oldest first. */
export function createFakeEventLog(clock: Clock = systemClock): EventLog & { readonly emitted: PlatformEvent[] } {
  const ring = createEventRing();
  const emitted: PlatformEvent[] = [];
  return {
    emitted,
    emit(news) {
      const event: PlatformEvent = { id: ring.lastId() + 1, timestamp: clock.timestamp(), ...news };
      ring.push(event);
      emitted.push(event);
      return event;
    },
    subscribe: ring.subscribe,
    async close() {
      ring.close();
    },
  };
}
