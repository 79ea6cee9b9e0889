import { Router } from "express";
import { CATALOGUE } from "../../kernel/errors.ts";
import { viewEnvironment } from "../../domain/environment/view.ts";
import type { Context } from "../../usecases/context.ts";
import { haltOutages, type HaltReport } from "../../usecases/chaos/halt-outages.ts";
import { injectOutage } from "../../usecases/chaos/inject-outage.ts";
import { recoverEnvironment } from "../../usecases/chaos/recover-environment.ts";
import { parseInput } from "../contracts/parse.ts";
import { OutageSchema } from "../contracts/requests.ts";
import { environmentId } from "./environment-id.ts";
import { auditChange } from "../middleware/audit-changes.ts";
import { addRoute } from "../route-table.ts";

/** `/envs/:id/outage`: break an environment on purpose, or recover it; `/halt`: end every outage there is. */
export function outageRoutes(context: Context): Router {
  const router = Router();
  addRoute(router, "/envs/:id/outage", {
    post: async (request, response) => {
      const id = environmentId(request);
      const { mode, ...rest } = parseInput(OutageSchema, request.body, "request body");
      const what = mode === "recover" ? mode : `outage ${mode}`;
      const record = await auditChange(context, { request, response }, { what, envId: id }, () =>
        mode === "recover" ? recoverEnvironment(context, id) : injectOutage(context, id, { mode, ...rest }),
      );
      response.json(viewEnvironment(record, context.settings.publicAddress, context.clock.now()));
    },
  });
  addRoute(router, "/halt", {
    post: async (request, response) => {
      const change = { what: "halt", parts: haltedOnes };
      response.json(await auditChange(context, { request, response }, change, () => haltOutages(context)));
    },
  });
  return router;
}

function haltedOnes({ recovered, failed }: HaltReport): { envId: string; result: number }[] {
  return [
    ...recovered.map((envId) => ({ envId, result: 200 })),
    ...failed.map(({ id, code }) => ({ envId: id, result: CATALOGUE[code].status })),
  ];
}
