import type { NewEvent, PlatformEvent } from "../../domain/events.ts";

/** What happened, in order: `logs/events.jsonl`, and to whoever listens. */
export interface EventLog {
  /** Numbers, stamps, appends and hands out an event. Never throws: a full disk must not stop what it tells of. */
  emit(event: NewEvent): PlatformEvent;
  /**
   * Events after `afterId` as far as memory holds them (the last 1,000), then those to come; null: only those to come.
   * Ends when `signal` aborts, the log is closed, or a reader is so slow that events were dropped before it read them.
   */
  subscribe(afterId: number | null, signal: AbortSignal): AsyncIterable<PlatformEvent>;
  close(): Promise<void>;
}
