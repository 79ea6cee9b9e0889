/** The kinds of event on `GET /events` and in `logs/events.jsonl`; docs/api.md lists them. */
export const EVENT_TYPES = [
  "platform.started",
  "platform.repaired",
  "platform.stopping",
  "environment.creating",
  "environment.running",
  "environment.degraded",
  "environment.recovered",
  "environment.extended",
  "environment.expired",
  "environment.destroying",
  "environment.destroyed",
  "environment.failed",
  "environment.out_of_memory",
  "environment.repaired",
  "outage.started",
  "outage.ended",
  "orphan.removed",
  "state.quarantined",
  "archive.pruned",
  "ingress.rejected",
  "drift.unrepaired",
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

export type NewEvent = {
  type: EventType;
  /** The environment it is about; null for the platform itself. */
  env_id: string | null;
  /** The owner of that environment, or null. Filled in from its record where left out. */
  owner?: string | null;
  /** What a reader needs beside the type; never secrets. */
  data?: Record<string, unknown>;
};

export type PlatformEvent = NewEvent & {
  /** Ascending within one platform's life, also across restarts. */
  id: number;
  /** ISO 8601. */
  timestamp: string;
};
