import { Router } from "express";
import { viewEnvironment } from "../../domain/environment-view.ts";
import type { Context } from "../../usecases/context.ts";
import { haltOutages } from "../../usecases/halt-outages.ts";
import { injectOutage } from "../../usecases/inject-outage.ts";
import { recoverEnvironment } from "../../usecases/recover.ts";
import { parseInput } from "../contracts/parse.ts";
import { OutageSchema } from "../contracts/requests.ts";
import { environmentId } from "../environment-id.ts";
import { recorded } from "../record-changes.ts";
import { addRoute } from "../route-table.ts";

/** `/envs/:id/outage`: break an environment on purpose, or recover it; `/halt`: end every outage there is. */
export function outageRoutes(context: Context): Router {
  const router = Router();
  addRoute(router, "/envs/:id/outage", {
    post: async (request, response) => {
      const id = environmentId(request);
      const { mode, ...rest } = parseInput(OutageSchema, request.body, "request body");
      const what = mode === "recover" ? mode : `outage ${mode}`;
      const record = await recorded(context, { request, response }, { what, envId: id }, () =>
        mode === "recover" ? recoverEnvironment(context, id) : injectOutage(context, id, { mode, ...rest }),
      );
      response.json(viewEnvironment(record, context.settings.door, context.clock.now()));
    },
  });
  addRoute(router, "/halt", {
    post: async (request, response) => {
      response.json(await recorded(context, { request, response }, { what: "halt" }, () => haltOutages(context)));
    },
  });
  return router;
}
