import { randomUUID } from "node:crypto";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { PENDING, type NewAuditEntry } from "../../domain/access/audit.ts";
import { CATALOGUE, isPlatformError } from "../../kernel/errors.ts";
import type { Context } from "../../usecases/context.ts";
import { callerOf, clientAddress, isChange, setAudited, wasAudited } from "./caller.ts";
import type { AuditThrottle } from "./audit-throttle.ts";

/** What somebody wants done. `status`: what it is answered with when it has been done. */
export type Change<T = object> = {
  what: string;
  envId?: string;
  status?: number;
  /** Of a change that is not of one environment: which ones it changed, or failed to, and how that ended. */
  parts?: (outcome: T) => { envId: string; result: number }[];
};

type Asked = { request: Request; response: Response };

/**
 * Does what was asked for, with an entry in the audit log before and one after: the first is there before
 * anything happens, so that a platform that is killed leaves it, and the second says what became of it,
 * whether or not anybody waited for the answer. The platform does, before it ends.
 */
export function auditChange<T extends object>(
  context: Pick<Context, "audit" | "tasks">,
  asked: Asked,
  change: Change<T>,
  work: () => Promise<T>,
): Promise<T> {
  return context.tasks.track(record(context, asked, change, work));
}

async function record<T extends object>(
  { audit }: Pick<Context, "audit">,
  { request, response }: Asked,
  { what, envId, status = 200, parts = () => [] }: Change<T>,
  work: () => Promise<T>,
): Promise<T> {
  const entry = entryMaker(request, response);
  const change_id = randomUUID();
  const note = (result: number | string, env_id = envId ?? null) =>
    audit.append({ ...entry({ what, env_id, result }), change_id });
  setAudited(response);
  note(PENDING);
  await audit.flush();
  try {
    const outcome = await work();
    for (const part of parts(outcome)) note(part.result, part.envId);
    note(status, envId ?? idOf(outcome));
    return outcome;
  } catch (error) {
    note(isPlatformError(error) ? error.status : CATALOGUE.internal_error.status);
    throw error;
  }
}

/** Notes every request that would have changed something and was refused before it was begun. */
export function auditRefusals({ note }: AuditThrottle): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    if (isChange(request)) {
      const entry = entryMaker(request, response);
      const { path } = request; // routers change it while they work
      response.on("close", () => {
        if (wasAudited(response)) return;
        const result = response.writableFinished ? response.statusCode : "client left";
        note(entry({ what: describeChange(request.method, path), env_id: environmentOf(path), result }));
      });
    }
    next();
  };
}

/** Entries of one request, whose connection may be gone by the time they are made. */
function entryMaker(request: Request, response: Response) {
  const { name, role } = callerOf(response);
  const from = clientAddress(request);
  const request_id = response.locals["requestId"] as string;
  return ({ what, env_id, result }: Pick<NewAuditEntry, "what" | "env_id" | "result">): NewAuditEntry => ({
    who: name ?? "local",
    role,
    what,
    env_id,
    from,
    result,
    request_id,
  });
}

/** Such as `create`, `destroy`, `extend`, `outage`; of paths unknown here their last part. */
function describeChange(method: string, path: string): string {
  const [root, id, verb] = partsOf(path);
  if (root === "halt") return root;
  if (root !== "envs") return `${method} ${path}`.slice(0, 200);
  if (id === undefined) return method === "POST" ? "create" : `${method} /envs`;
  if (verb === undefined) return method === "DELETE" ? "destroy" : `${method} /envs/:id`;
  return verb.slice(0, 50);
}

function environmentOf(path: string): string | null {
  const [root, id] = partsOf(path);
  return root === "envs" && id !== undefined ? id.slice(0, 64) : null;
}

/** A creation's environment has an id once it is made. */
function idOf(outcome: object): string | null {
  return "id" in outcome && typeof outcome.id === "string" ? outcome.id : null;
}

function partsOf(path: string): (string | undefined)[] {
  const [root, ...rest] = path.split("/").filter((part) => part !== "");
  return [root?.toLowerCase(), ...rest];
}
