import { Router, type Request } from "express";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { createEnvironmentSchema, type CreateBody, type CreateLimits } from "../contracts/create-environment.ts";
import { parseInput } from "../contracts/parse.ts";
import { ExtendSchema, IdempotencyKeySchema } from "../contracts/requests.ts";
import { createListCache } from "../list-cache.ts";
import { auditChange, type AuditDeps } from "../middleware/audit-changes.ts";
import { callerOf } from "../middleware/caller.ts";
import { addRoute } from "../route-table.ts";
import { environmentId } from "./environment-id.ts";

export type EnvironmentDeps = AuditDeps & {
  create(body: CreateBody, idempotencyKey: string | null, owner: string | null): Promise<EnvironmentRecord>;
  /** Oldest first; one and the same array until a record has changed. */
  list(): readonly EnvironmentRecord[];
  find(id: string): EnvironmentRecord;
  destroy(id: string): Promise<{ id: string; status: "destroyed"; archived_logs: string | null }>;
  extend(id: string, seconds: number): Promise<EnvironmentRecord>;
  view(record: EnvironmentRecord, now?: number): EnvironmentView;
  /** Milliseconds since the epoch. */
  now(): number;
};

/** `/envs` and `/envs/:id`: create, list, show, extend, destroy. */
export function environmentRoutes(deps: EnvironmentDeps, limits: CreateLimits): Router {
  const router = Router();
  const schema = createEnvironmentSchema(limits);
  const listed = createListCache((record, now) => deps.view(record, now));

  addRoute(router, "/envs", {
    get: (_request, response) => {
      response.type("json").send(listed(deps.list(), callerOf(response), deps.now()));
    },
    post: async (request, response) => {
      const body = parseInput(schema, request.body, "request body");
      const key = idempotencyKey(request);
      const create = () => deps.create(body, key, callerOf(response).name);
      const record = await auditChange(deps, { request, response }, { what: "create", status: 201 }, create);
      response.status(201).location(`/envs/${record.id}`).json(deps.view(record));
    },
  });
  addRoute(router, "/envs/:id", {
    get: (request, response) => void response.json(deps.view(deps.find(environmentId(request)))),
    delete: async (request, response) => {
      const envId = environmentId(request);
      const destroy = () => deps.destroy(envId);
      response.json(await auditChange(deps, { request, response }, { what: "destroy", envId }, destroy));
    },
  });
  addRoute(router, "/envs/:id/extend", {
    post: async (request, response) => {
      const envId = environmentId(request);
      const { seconds } = parseInput(ExtendSchema, request.body, "request body");
      const extend = () => deps.extend(envId, seconds);
      response.json(deps.view(await auditChange(deps, { request, response }, { what: "extend", envId }, extend)));
    },
  });
  return router;
}

function idempotencyKey(request: Request): string | null {
  const key = request.get("idempotency-key");
  return key === undefined ? null : parseInput(IdempotencyKeySchema, key, "Idempotency-Key header");
}
