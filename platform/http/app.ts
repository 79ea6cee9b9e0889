import express, { type Express } from "express";
import { PlatformError } from "../domain/errors.ts";
import type { Context } from "../usecases/context.ts";
import type { PartHealth } from "../usecases/platform-health.ts";
import type { CreateLimits } from "./contracts/create-environment.ts";
import { jsonBody } from "./json-body.ts";
import { problemWriter } from "./problem.ts";
import { requestId } from "./request-id.ts";
import { environmentRoutes } from "./routes/environments.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { logRoutes } from "./routes/logs.ts";
import { outageRoutes } from "./routes/outages.ts";

/** The whole API: parse → use-case → respond. `loops` tells how the loops are doing. */
export function createApp(context: Context, limits: CreateLimits, loops: () => PartHealth): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag").set("query parser", "simple");
  app.use(requestId(context.logger));
  app.use((_request, response, next) => {
    response.set({ "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" });
    next();
  });
  app.use(...jsonBody());
  app.use(
    environmentRoutes(context, limits),
    logRoutes(context),
    healthRoutes(context, loops),
    outageRoutes(context),
    eventRoutes(context),
  );
  app.use((request) => {
    throw new PlatformError(
      "path_not_found",
      `Cannot find ${request.method} ${request.path}: no such path. The README and docs/api.md list them.`,
    );
  });
  app.use(problemWriter(context.logger));
  return app;
}
