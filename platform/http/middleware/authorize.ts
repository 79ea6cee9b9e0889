import type { NextFunction, Request, RequestHandler, Response } from "express";
import { mayChange, maySee, type Caller } from "../../domain/access/caller.ts";
import { PlatformError } from "../../kernel/errors.ts";
import type { Context } from "../../usecases/context.ts";
import { environmentNotFound } from "../../usecases/environments/find-environment.ts";
import { callerOf, isChange } from "./caller.ts";
import { environmentId } from "../routes/environment-id.ts";

/** Viewers change nothing. */
export function changersOnly(): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    if (isChange(request)) assertMay(mayChange, callerOf(response), request);
    next();
  };
}

/** For paths that are about everybody's environments. */
export function adminsOnly(): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    assertMay(({ role }) => role === "admin", callerOf(response), request);
    next();
  };
}

/** For `/envs/:id`: to a member, what belongs to others does not exist, living or archived. */
export function ownersOnly({ environments, logs }: Pick<Context, "environments" | "logs">): RequestHandler {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    const caller = callerOf(response);
    if (caller.role !== "member") return next();
    const id = environmentId(request);
    const record = environments.get(id);
    if (record !== null && maySee(caller, record.owner)) return next();
    // Looked for also where somebody else's lives: how long an answer takes must not tell that from one that never was.
    const archived = await logs.archivedOwner(id);
    if (record !== null || !maySee(caller, archived)) throw environmentNotFound(id);
    next();
  };
}

function assertMay(may: (caller: Caller) => boolean, caller: Caller, { method, baseUrl, path }: Request): void {
  if (may(caller)) return;
  throw new PlatformError(
    "forbidden",
    `Cannot ${method} ${baseUrl}${path}: the token "${caller.name}" has the role ${caller.role}. Ask an admin for another.`,
  );
}
