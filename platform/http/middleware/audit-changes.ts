import { randomUUID } from "node:crypto";
import type { Request, RequestHandler, Response } from "express";
import { PENDING, type NewAuditEntry } from "../../domain/access/audit.ts";
import { CATALOGUE, isPlatformError } from "../../kernel/errors.ts";
import type { TaskTracker } from "../../kernel/task-tracker.ts";
import { clientAddress, isChange, knownCaller } from "./caller.ts";
import type { AuditThrottle } from "./audit-throttle.ts";
import { requestIdOf } from "./request-id.ts";

/** The audit log, and the tasks that a shutdown waits for. */
export type AuditDeps = {
  audit: { append(entry: NewAuditEntry): void; flush(): Promise<void> };
  tasks: Pick<TaskTracker, "track">;
};

/** A change that a caller asks for, such as "destroy". `status`: the HTTP status of its success. */
type Change<T> = {
  what: string;
  envId?: string;
  status?: number;
  /** For a change of several environments: how it ended for each. */
  parts?: (outcome: T) => { envId: string; result: number }[];
};

type Exchange = { request: Request; response: Response };

/**
 * Does a change and writes its audit lines: one on disk before anything happens, which a killed platform leaves behind,
 * and one with the outcome, also when the client has left. A shutdown waits for the change.
 * The other half is store/journal/, which writes the lines into logs/audit.jsonl.
 */
export function auditChange<T extends object>(
  { audit, tasks }: AuditDeps,
  exchange: Exchange,
  change: Change<T>,
  work: () => Promise<T>,
): Promise<T> {
  return tasks.track(writeAround(audit, exchange, change, work));
}

async function writeAround<T extends object>(
  audit: AuditDeps["audit"],
  { request, response }: Exchange,
  { what, envId, status = 200, parts = () => [] }: Change<T>,
  work: () => Promise<T>,
): Promise<T> {
  const entry = auditEntries(request, response);
  const change_id = randomUUID();
  const write = (result: number | string, env_id = envId ?? null) =>
    audit.append({ ...entry({ what, env_id, result }), change_id });
  response.locals["audited"] = true;
  write(PENDING);
  await audit.flush();
  try {
    const outcome = await work();
    for (const part of parts(outcome)) write(part.result, part.envId);
    write(status, envId ?? idOf(outcome));
    return outcome;
  } catch (error) {
    write(isPlatformError(error) ? error.status : CATALOGUE.internal_error.status);
    throw error;
  }
}

/** Audits every request for a change that was refused before auditChange began. */
export function auditRefusals(throttle: AuditThrottle): RequestHandler {
  return (request, response, next) => {
    if (isChange(request)) {
      const entry = auditEntries(request, response);
      const { path } = request; // routers change it while they work
      response.on("close", () => {
        if (response.locals["audited"] === true) return;
        const result = response.writableFinished ? response.statusCode : "client left";
        throttle.append(entry({ what: describeChange(request.method, path), env_id: environmentOf(path), result }));
      });
    }
    next();
  };
}

/** Makes audit entries of one request. Reads the client's address at once: the connection may be gone later. */
export function auditEntries(request: Request, response: Response) {
  const caller = knownCaller(response);
  const who = caller === null ? null : (caller.name ?? "local");
  const from = clientAddress(request);
  const request_id = requestIdOf(response);
  return ({ what, env_id, result }: Pick<NewAuditEntry, "what" | "env_id" | "result">): NewAuditEntry => ({
    who,
    role: caller?.role ?? null,
    what,
    env_id,
    from,
    result,
    request_id,
  });
}

/** Such as `create`, `destroy`, `extend`, `outage`; the last part of an unknown path. */
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

/** A created environment has its id in the outcome. */
function idOf(outcome: object): string | null {
  return "id" in outcome && typeof outcome.id === "string" ? outcome.id : null;
}

function partsOf(path: string): (string | undefined)[] {
  const [root, ...rest] = path.split("/").filter((part) => part !== "");
  return [root?.toLowerCase(), ...rest];
}
