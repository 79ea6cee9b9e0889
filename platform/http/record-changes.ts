import type { NextFunction, Request, RequestHandler, Response } from "express";
import type { Context } from "../usecases/context.ts";
import { callerOf, clientAddress, isChange } from "./caller.ts";

/** Writes every request that may change something into the audit log, once it has been answered. */
export function recordChanges({ audit }: Pick<Context, "audit">): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    if (isChange(request)) {
      const { name, role } = callerOf(response);
      const from = clientAddress(request);
      const { path } = request; // routers change it while they work
      response.on("close", () =>
        audit.append({
          who: name ?? "local",
          role,
          what: describeChange(request.method, path, request.body),
          env_id: environmentOf(path, response.get("location")),
          from,
          // A client that hung up has no answer; what became of its wish, the events tell.
          result: response.writableFinished ? response.statusCode : "client left",
          request_id: response.locals["requestId"] as string,
        }),
      );
    }
    next();
  };
}

/** Such as `create`, `destroy`, `extend`, `outage pause`, `recover`; of paths unknown here their last part. Nothing of a body but an outage's mode. */
export function describeChange(method: string, path: string, body: unknown): string {
  const [root, id, verb] = partsOf(path);
  if (root === "halt") return root;
  if (root !== "envs") return `${method} ${path}`.slice(0, 200);
  if (id === undefined) return method === "POST" ? "create" : `${method} /envs`;
  if (verb === undefined) return method === "DELETE" ? "destroy" : `${method} /envs/:id`;
  if (verb !== "outage") return verb.slice(0, 50);
  const mode = typeof body === "object" && body !== null && "mode" in body ? body.mode : undefined;
  if (mode === "recover") return "recover";
  return typeof mode === "string" ? `outage ${mode}`.slice(0, 50) : "outage";
}

function environmentOf(path: string, location: string | undefined): string | null {
  const [root, id] = partsOf(location ?? path);
  return root === "envs" && id !== undefined ? id.slice(0, 64) : null;
}

function partsOf(path: string): (string | undefined)[] {
  const [root, ...rest] = path.split("/").filter((part) => part !== "");
  return [root?.toLowerCase(), ...rest];
}
