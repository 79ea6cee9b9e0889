import express, { type Express } from "express";
import { PlatformError } from "../domain/errors.ts";
import type { Context } from "../usecases/context.ts";
import type { PartHealth } from "../usecases/platform-health.ts";
import { authenticate } from "./authenticate.ts";
import { adminsOnly, changersOnly, ownersOnly } from "./authorize.ts";
import type { CreateLimits } from "./contracts/create-environment.ts";
import { jsonBody } from "./json-body.ts";
import { problemWriter } from "./problem.ts";
import { limitRequests } from "./rate-limit.ts";
import { recordChanges } from "./record-changes.ts";
import { refuseOtherSites } from "./refuse-other-sites.ts";
import { requestId } from "./request-id.ts";
import { auditRoutes } from "./routes/audit.ts";
import { environmentRoutes } from "./routes/environments.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { logRoutes } from "./routes/logs.ts";
import { outageRoutes } from "./routes/outages.ts";
import { securityHeaders } from "./security-headers.ts";

/** Names the API is reached by beside localhost and its addresses; requests a minute, 0 for no limit. */
export type AccessSettings = { hosts: readonly string[]; rateLimit: number };

/** The whole API: parse → use-case → respond. `loops` tells how the loops are doing. */
export function createApp(
  context: Context,
  limits: CreateLimits,
  loops: () => PartHealth,
  access: AccessSettings = { hosts: [], rateLimit: 0 },
): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag").set("query parser", "simple");
  app.use(requestId(context.logger));
  app.use(...securityHeaders());
  // Who asks is settled before anything of the body is read.
  app.use(refuseOtherSites(access.hosts), authenticate(context), limitRequests(access.rateLimit));
  app.use(recordChanges(context), changersOnly());
  app.use("/envs/:id", ownersOnly(context));
  app.use(["/halt", "/audit"], adminsOnly());
  app.use(...jsonBody());
  app.use(
    environmentRoutes(context, limits),
    logRoutes(context),
    healthRoutes(context, loops),
    outageRoutes(context),
    eventRoutes(context),
    auditRoutes(context),
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
