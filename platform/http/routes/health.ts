import { Router } from "express";
import type { Context } from "../../usecases/context.ts";
import { platformHealth, type PartHealth } from "../../usecases/platform-health.ts";
import { readHealth } from "../../usecases/read-health.ts";
import { environmentId } from "../environment-id.ts";
import { addRoute } from "../route-table.ts";

/** `/healthz` for the platform, `/envs/:id/health` for one environment. */
export function healthRoutes(context: Context, loops: () => PartHealth): Router {
  const router = Router();
  addRoute(router, "/healthz", {
    get: async (_request, response) => {
      const health = await platformHealth(context, loops());
      response.status(health.status === "ok" ? 200 : 503).json(health);
    },
  });
  addRoute(router, "/envs/:id/health", {
    get: async (request, response) => void response.json(await readHealth(context, environmentId(request))),
  });
  return router;
}
