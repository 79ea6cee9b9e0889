import { Router, type Request } from "express";
import { maySee, type Caller } from "../../domain/access/caller.ts";
import type { PlatformEvent } from "../../domain/events.ts";
import { callerOf } from "../middleware/caller.ts";
import { addRoute } from "../route-table.ts";
import type { ServerSentEvent } from "../streams/event-stream.ts";
import type { Streams } from "../streams/streams.ts";

export type EventDeps = {
  /** Events after `afterId`, then those to come; null: only those to come. */
  subscribe(afterId: number | null, signal: AbortSignal): AsyncIterable<PlatformEvent>;
};

/** `/events`: all events as server-sent events; `Last-Event-ID` resumes. */
export function eventRoutes({ subscribe }: EventDeps, streams: Streams): Router {
  const router = Router();
  addRoute(router, "/events", {
    get: (request, response) => {
      const caller = callerOf(response);
      return streams.open(request, response, (signal) => asEvents(subscribe(lastEventId(request), signal), caller));
    },
  });
  return router;
}

/** A member receives the events of its own environments, and none of the platform's. */
async function* asEvents(events: AsyncIterable<PlatformEvent>, caller: Caller): AsyncIterable<ServerSentEvent> {
  for await (const event of events) {
    if (maySee(caller, event.owner ?? null))
      yield { id: String(event.id), event: event.type, data: JSON.stringify(event) };
  }
}

function lastEventId(request: Request): number | null {
  const id = Number(request.get("last-event-id") ?? Number.NaN);
  return Number.isSafeInteger(id) && id >= 0 ? id : null;
}
