import { Router } from "express";
import type { AuditEntry } from "../../domain/access/audit.ts";
import { parseInput } from "../contracts/parse.ts";
import { AuditQuerySchema } from "../contracts/requests.ts";
import { addRoute } from "../route-table.ts";

/** `read` gives the last `limit` entries, oldest first. */
export type AuditRouteDeps = { audit: { read(limit: number): Promise<AuditEntry[]> } };

/** `/audit`: the changes and their callers; for admins. */
export function auditRoutes({ audit }: AuditRouteDeps): Router {
  const router = Router();
  addRoute(router, "/audit", {
    get: async (request, response) => {
      const { limit } = parseInput(AuditQuerySchema, request.query, "query");
      response.json(await audit.read(limit));
    },
  });
  return router;
}
