import { Router, type Request } from "express";
import { PlatformError } from "../../kernel/errors.ts";
import type { LogQuery } from "../../domain/log-query.ts";
import type { Context } from "../../usecases/context.ts";
import { followLogs, readLogs } from "../../usecases/logs/read-logs.ts";
import { parseInput } from "../contracts/parse.ts";
import { LogQuerySchema, parseSince } from "../contracts/requests.ts";
import { environmentId } from "./environment-id.ts";
import type { ServerSentEvent } from "../streams/event-stream.ts";
import type { ResponseBudget } from "../middleware/response-budget.ts";
import { addRoute } from "../route-table.ts";
import type { Streams } from "../streams/streams.ts";

/** `/envs/:id/logs`: as JSON, as plain text, or followed as server-sent events, by the `Accept` header. */
export function logRoutes(context: Context, streams: Streams, answers: ResponseBudget): Router {
  const router = Router();
  addRoute(router, "/envs/:id/logs", {
    get: async (request, response) => {
      const id = environmentId(request);
      const query = logQuery(request, context.clock.now());
      const format = request.accepts(["application/json", "text/plain", "text/event-stream"]);
      if (format === "text/event-stream") {
        await readLogs(context, id, { lines: 0 }); // an unknown id answers 404, not an empty stream
        await streams.open(request, response, (signal) => asEvents(followLogs(context, id, query, signal)));
        return;
      }
      const isText = format === "text/plain";
      await answers.send(request, response, isText ? "text/plain" : "application/json", async () => {
        const lines = await readLogs(context, id, query);
        return isText ? lines.map((line) => `${line}\n`).join("") : JSON.stringify({ env_id: id, lines });
      });
    },
  });
  return router;
}

async function* asEvents(lines: AsyncIterable<string>): AsyncIterable<ServerSentEvent> {
  for await (const data of lines) yield { data };
}

function logQuery(request: Request, now: number): LogQuery {
  const { since, service, grep, lines } = parseInput(LogQuerySchema, request.query, "query");
  const query: LogQuery = { lines };
  if (service !== undefined) query.service = service;
  if (grep !== undefined) query.grep = grep;
  if (since !== undefined) query.since = sinceTime(since, now);
  return query;
}

function sinceTime(text: string, now: number): number {
  const time = parseSince(text, now);
  if (time !== null) return time;
  const message = "must be an ISO 8601 time or a length such as 90s, 10m, 2h";
  throw new PlatformError("invalid_request", `Cannot accept the query: since: ${message}`, {
    errors: [{ path: "since", message }],
  });
}
