import { Router } from "express";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { CATALOGUE } from "../../kernel/errors.ts";
import type { HaltReport } from "../../usecases/chaos/halt.ts";
import type { OutageRequest } from "../../usecases/chaos/injection.ts";
import { parseInput } from "../contracts/parse.ts";
import { OutageSchema } from "../contracts/requests.ts";
import { auditChange, type AuditDeps } from "../middleware/audit-changes.ts";
import { addRoute } from "../route-table.ts";
import { environmentId } from "./environment-id.ts";

export type OutageDeps = AuditDeps & {
  injectOutage(id: string, outage: OutageRequest): Promise<EnvironmentRecord>;
  recover(id: string): Promise<EnvironmentRecord>;
  halt(): Promise<HaltReport>;
  view(record: EnvironmentRecord, now?: number): EnvironmentView;
};

/** `/envs/:id/outage`: break an environment on purpose, or recover it; `/halt`: end every outage there is. */
export function outageRoutes(deps: OutageDeps): Router {
  const router = Router();
  addRoute(router, "/envs/:id/outage", {
    post: async (request, response) => {
      const envId = environmentId(request);
      const { mode, ...rest } = parseInput(OutageSchema, request.body, "request body");
      const what = mode === "recover" ? mode : `outage ${mode}`;
      const record = await auditChange(deps, { request, response }, { what, envId }, () =>
        mode === "recover" ? deps.recover(envId) : deps.injectOutage(envId, { mode, ...rest }),
      );
      response.json(deps.view(record));
    },
  });
  addRoute(router, "/halt", {
    post: async (request, response) => {
      const change = { what: "halt", parts: resultsOf };
      response.json(await auditChange(deps, { request, response }, change, () => deps.halt()));
    },
  });
  return router;
}

function resultsOf({ recovered, failed }: HaltReport): { envId: string; result: number }[] {
  return [
    ...recovered.map((envId) => ({ envId, result: 200 })),
    ...failed.map(({ id, code }) => ({ envId: id, result: CATALOGUE[code].status })),
  ];
}
