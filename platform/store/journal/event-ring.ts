import type { PlatformEvent } from "../../domain/events.ts";
import { createNotifier } from "../../kernel/notifier.ts";

/** The last events in memory, and their subscribers. */
export type EventRing = {
  push(event: PlatformEvent): void;
  /** Id of the last event; 0 when there has been none. */
  lastId(): number;
  /** As `EventLog.subscribe`. */
  subscribe(afterId: number | null, signal: AbortSignal): AsyncIterable<PlatformEvent>;
  /** Ends every subscription once it has delivered what is held. */
  close(): void;
};

/**
 * * Keeps the last `capacity` events. A subscriber is only a place in the ring: it costs no memory while it stalls, and
 * it ends when the next event it should read has been dropped.
 */
export function createEventRing(capacity = 1_000): EventRing {
  const events: PlatformEvent[] = [];
  const changes = createNotifier();
  let lastId = 0;
  let droppedId = 0;
  let closed = false;

  async function* read(start: number, signal: AbortSignal): AsyncGenerator<PlatformEvent> {
    let place = start;
    while (!signal.aborted && place >= droppedId) {
      const event = events[firstAfter(events, place)];
      if (event !== undefined) {
        place = event.id;
        yield event;
      } else {
        if (closed) return;
        await changes.next(signal);
      }
    }
  }

  return {
    push(event) {
      events.push(event);
      lastId = event.id;
      if (events.length > capacity) droppedId = events.shift()?.id ?? droppedId;
      changes.notify();
    },
    lastId: () => lastId,
    subscribe(afterId, signal) {
      // An id above the last one comes from a log that was wiped since: its reader has seen none of these events.
      const known = afterId === null || afterId <= lastId ? (afterId ?? lastId) : 0;
      return read(Math.max(known, droppedId), signal);
    },
    close() {
      closed = true;
      changes.notify();
    },
  };
}

/** Index of the first event with a larger id; ids ascend. */
function firstAfter(events: PlatformEvent[], id: number): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle]?.id ?? 0) > id) high = middle;
    else low = middle + 1;
  }
  return low;
}
