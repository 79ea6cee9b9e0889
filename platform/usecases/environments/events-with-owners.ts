import type { NewEvent } from "../../domain/events.ts";
import type { EnvironmentStore } from "../../store/state/environment-store.ts";
import type { EventLog } from "../../store/journal/event-log.ts";

/** The event log, with every event bearing its environment's owner, so that members can be shown their own only. */
export function eventsWithOwners<L extends EventLog>(events: L, environments: Pick<EnvironmentStore, "get">): L {
  return {
    ...events,
    emit(event: NewEvent) {
      const known = event.env_id === null ? null : environments.get(event.env_id)?.owner;
      return events.emit({ ...event, owner: event.owner ?? known ?? null });
    },
  };
}
