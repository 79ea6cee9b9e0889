import type { NewEvent, PlatformEvent } from "../../domain/events.ts";

/** The platform's events in order, in `logs/events.jsonl` and for subscribers. */
export interface EventLog {
  /** Numbers, stamps, appends and hands out an event. Never throws, since a full disk must not stop a change. */
  emit(event: NewEvent): PlatformEvent;
  /**
   * Events after `afterId` as far as memory holds them (the last 1,000), then those to come; null: only those to come.
   * Ends when `signal` aborts, the log is closed, or a reader is so slow that events were dropped before it read them.
   */
  subscribe(afterId: number | null, signal: AbortSignal): AsyncIterable<PlatformEvent>;
  close(): Promise<void>;
}
