import express, { type Express } from "express";
import { PlatformError } from "../kernel/errors.ts";
import type { Context } from "../usecases/context.ts";
import type { PartHealth } from "../usecases/health/platform-health.ts";
import { authenticate } from "./middleware/authenticate.ts";
import { adminsOnly, changersOnly, ownersOnly } from "./middleware/authorize.ts";
import type { CreateLimits } from "./contracts/create-environment.ts";
import { createAuditThrottle } from "./middleware/audit-throttle.ts";
import { jsonBody } from "./middleware/json-body.ts";
import { createResponseBudget } from "./middleware/response-budget.ts";
import { problemWriter } from "./problem.ts";
import { limitChanges, limitRequests } from "./middleware/rate-limit.ts";
import { auditRefusals } from "./middleware/audit-changes.ts";
import { sameOrigin } from "./middleware/same-origin.ts";
import { requestId } from "./middleware/request-id.ts";
import { auditRoutes } from "./routes/audit.ts";
import { environmentRoutes } from "./routes/environments.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { logRoutes } from "./routes/logs.ts";
import { outageRoutes } from "./routes/outages.ts";
import { securityHeaders } from "./middleware/security-headers.ts";
import { createStreams } from "./streams/streams.ts";

export type AccessSettings = {
  /** Names the API is reached by beside localhost and its addresses. */
  hosts: readonly string[];
  /** Addresses and ranges of proxies that say in X-Forwarded-For who the caller is. */
  trustedProxies?: readonly string[];
  /** Requests and changes a minute, 0 for no limit. */
  rateLimit: number;
  changesLimit: number;
};

/** The whole API: parse → use-case → respond. `loops` tells how the loops are doing. */
export function createApp(
  context: Context,
  limits: CreateLimits,
  loops: () => PartHealth,
  access: AccessSettings = { hosts: [], rateLimit: 0, changesLimit: 0 },
): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag").set("query parser", "simple");
  app.set("trust proxy", access.trustedProxies ?? []);
  app.use(requestId(context.logger));
  app.use(securityHeaders());
  // Who asks is settled before anything of the body is read.
  const refusals = createAuditThrottle(context);
  app.use(sameOrigin(access.hosts), authenticate(context, refusals), limitRequests(access.rateLimit));
  app.use(auditRefusals(refusals), limitChanges(access.changesLimit), changersOnly());
  app.use("/envs/:id", ownersOnly(context));
  app.use(["/halt", "/audit"], adminsOnly());
  app.use(...jsonBody());
  const streams = createStreams(context);
  app.use(
    environmentRoutes(context, limits),
    logRoutes(context, streams, createResponseBudget()),
    healthRoutes(context, loops),
    outageRoutes(context),
    eventRoutes(context, streams),
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
