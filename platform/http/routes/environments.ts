import { Router, type Request } from "express";
import { viewEnvironment } from "../../domain/environment/view.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import type { Context } from "../../usecases/context.ts";
import { createEnvironment } from "../../usecases/environments/create-environment.ts";
import { destroyEnvironment } from "../../usecases/environments/destroy-environment.ts";
import { extendEnvironment } from "../../usecases/environments/extend-environment.ts";
import { findEnvironment } from "../../usecases/environments/find-environment.ts";
import { callerOf } from "../middleware/caller.ts";
import { createEnvironmentSchema, type CreateLimits } from "../contracts/create-environment.ts";
import { parseInput } from "../contracts/parse.ts";
import { ExtendSchema, IdempotencyKeySchema } from "../contracts/requests.ts";
import { environmentId } from "./environment-id.ts";
import { createListCache } from "../list-cache.ts";
import { auditChange } from "../middleware/audit-changes.ts";
import { addRoute } from "../route-table.ts";

/** `/envs` and `/envs/:id`: create, list, show, extend, destroy. */
export function environmentRoutes(context: Context, limits: CreateLimits): Router {
  const router = Router();
  const schema = createEnvironmentSchema(limits);
  const viewAt = (record: EnvironmentRecord, now: number) =>
    viewEnvironment(record, context.settings.publicAddress, now);
  const view = (record: EnvironmentRecord) => viewAt(record, context.clock.now());
  const list = createListCache(viewAt);

  addRoute(router, "/envs", {
    get: (_request, response) => {
      response.type("json").send(list(context.environments.all(), callerOf(response), context.clock.now()));
    },
    post: async (request, response) => {
      const body = parseInput(schema, request.body, "request body");
      const key = idempotencyKey(request);
      const record = await auditChange(context, { request, response }, { what: "create", status: 201 }, () =>
        createEnvironment(context, body, key, callerOf(response).name),
      );
      response.status(201).location(`/envs/${record.id}`).json(view(record));
    },
  });
  addRoute(router, "/envs/:id", {
    get: (request, response) => void response.json(view(findEnvironment(context, environmentId(request)))),
    delete: async (request, response) => {
      const id = environmentId(request);
      const destroy = () => destroyEnvironment(context, id);
      response.json(await auditChange(context, { request, response }, { what: "destroy", envId: id }, destroy));
    },
  });
  addRoute(router, "/envs/:id/extend", {
    post: async (request, response) => {
      const id = environmentId(request);
      const { seconds } = parseInput(ExtendSchema, request.body, "request body");
      const extend = () => extendEnvironment(context, id, seconds);
      response.json(view(await auditChange(context, { request, response }, { what: "extend", envId: id }, extend)));
    },
  });
  return router;
}

function idempotencyKey(request: Request): string | null {
  const key = request.get("idempotency-key");
  return key === undefined ? null : parseInput(IdempotencyKeySchema, key, "Idempotency-Key header");
}
