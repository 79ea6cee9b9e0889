import { Router } from "express";
import type { Context } from "../../usecases/context.ts";
import { parseInput } from "../contracts/parse.ts";
import { AuditQuerySchema } from "../contracts/requests.ts";
import { addRoute } from "../route-table.ts";

/** `/audit`: who changed what; for admins. */
export function auditRoutes({ audit }: Pick<Context, "audit">): Router {
  const router = Router();
  addRoute(router, "/audit", {
    get: async (request, response) => {
      const { limit } = parseInput(AuditQuerySchema, request.query, "query");
      response.json(await audit.read(limit));
    },
  });
  return router;
}
