import { Router } from "express";
import type { LogQuery } from "../../domain/log-query.ts";
import { parseInput } from "../contracts/parse.ts";
import { logQuerySchema } from "../contracts/requests.ts";
import type { ResponseBudget } from "../middleware/response-budget.ts";
import { addRoute } from "../route-table.ts";
import type { ServerSentEvent } from "../streams/event-stream.ts";
import type { Streams } from "../streams/streams.ts";
import { environmentId } from "./environment-id.ts";

export type LogDeps = {
  /** `environment_not_found` when there never was such an environment. */
  readLogs(id: string, query: LogQuery): Promise<string[]>;
  followLogs(id: string, query: LogQuery, signal: AbortSignal): AsyncIterable<string>;
  /** Milliseconds since the epoch. */
  now(): number;
};

/** `/envs/:id/logs`: as JSON, as plain text, or followed as server-sent events, by the `Accept` header. */
export function logRoutes({ readLogs, followLogs, now }: LogDeps, streams: Streams, budget: ResponseBudget): Router {
  const router = Router();
  addRoute(router, "/envs/:id/logs", {
    get: async (request, response) => {
      const id = environmentId(request);
      const query = parseInput(logQuerySchema(now()), request.query, "query");
      const format = request.accepts(["application/json", "text/plain", "text/event-stream"]);
      if (format === "text/event-stream") {
        await readLogs(id, { lines: 0 }); // an unknown id answers 404, not an empty stream
        await streams.open(request, response, (signal) => asEvents(followLogs(id, query, signal)));
        return;
      }
      const isText = format === "text/plain";
      await budget.send(request, response, isText ? "text/plain" : "application/json", async () => {
        const lines = await readLogs(id, query);
        return isText ? lines.map((line) => `${line}\n`).join("") : JSON.stringify({ env_id: id, lines });
      });
    },
  });
  return router;
}

async function* asEvents(lines: AsyncIterable<string>): AsyncIterable<ServerSentEvent> {
  for await (const data of lines) yield { data };
}
