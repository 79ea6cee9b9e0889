import express, { type Express } from "express";
import { PlatformError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/logger.ts";
import type { CreateLimits } from "./contracts/create-environment.ts";
import { auditRefusals } from "./middleware/audit-changes.ts";
import { createAuditThrottle } from "./middleware/audit-throttle.ts";
import { authenticate } from "./middleware/authenticate.ts";
import { adminsOnly, changersOnly, ownersOnly, type OwnerDeps } from "./middleware/authorize.ts";
import { jsonBody } from "./middleware/json-body.ts";
import { limitChanges, limitRequests } from "./middleware/rate-limit.ts";
import { requestId } from "./middleware/request-id.ts";
import { createResponseBudget } from "./middleware/response-budget.ts";
import { sameOrigin } from "./middleware/same-origin.ts";
import { securityHeaders } from "./middleware/security-headers.ts";
import { problemWriter } from "./problem.ts";
import { auditRoutes, type AuditRouteDeps } from "./routes/audit.ts";
import { environmentRoutes, type EnvironmentDeps } from "./routes/environments.ts";
import { eventRoutes, type EventDeps } from "./routes/events.ts";
import { healthRoutes, type HealthDeps } from "./routes/health.ts";
import { logRoutes, type LogDeps } from "./routes/logs.ts";
import { outageRoutes, type OutageDeps } from "./routes/outages.ts";
import { createStreams, type StreamDeps } from "./streams/streams.ts";

/** All that the API calls; each route module names the part it takes. */
export type HttpDeps = OwnerDeps &
  StreamDeps &
  EnvironmentDeps &
  LogDeps &
  HealthDeps &
  OutageDeps &
  EventDeps &
  AuditRouteDeps & { logger: Logger };

export type AccessSettings = {
  /** Names of the API beside localhost and its addresses. */
  hosts: readonly string[];
  /** Addresses and ranges of proxies whose X-Forwarded-For is believed. */
  trustedProxies?: readonly string[];
  /** Requests and changes a minute, 0 for no limit. */
  rateLimit: number;
  changesLimit: number;
};

/** The whole API: authenticate → authorize → parse → use-case → respond. */
export function createApp(
  deps: HttpDeps,
  limits: CreateLimits,
  access: AccessSettings = { hosts: [], rateLimit: 0, changesLimit: 0 },
): Express {
  const throttle = createAuditThrottle(deps.audit, deps.stopping);
  const streams = createStreams(deps);
  const app = express();
  app.disable("x-powered-by").disable("etag").set("query parser", "simple");
  app.set("trust proxy", access.trustedProxies ?? []);
  app.use(requestId(deps.logger), securityHeaders());
  // The caller is known before any of the body is read.
  app.use(sameOrigin(access.hosts), authenticate(deps.identify, throttle), limitRequests(access.rateLimit));
  app.use(auditRefusals(throttle), limitChanges(access.changesLimit), changersOnly());
  app.use("/envs/:id", ownersOnly(deps));
  app.use(["/halt", "/audit"], adminsOnly());
  app.use(...jsonBody());
  app.use(
    environmentRoutes(deps, limits),
    logRoutes(deps, streams, createResponseBudget()),
    healthRoutes(deps),
    outageRoutes(deps),
    eventRoutes(deps, streams),
    auditRoutes(deps),
  );
  app.use((request) => {
    throw new PlatformError(
      "path_not_found",
      `Cannot find ${request.method} ${request.path}: no such path. The README and docs/api.md list them.`,
    );
  });
  app.use(problemWriter(deps.logger));
  return app;
}
