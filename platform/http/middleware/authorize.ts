import type { Request, RequestHandler } from "express";
import { mayChange, maySee, type Caller } from "../../domain/access/caller.ts";
import type { EnvironmentRecord } from "../../domain/environment/record.ts";
import { PlatformError } from "../../kernel/errors.ts";
import { environmentNotFound } from "../../usecases/environments/find-environment.ts";
import { callerOf, isChange } from "./caller.ts";
import { environmentId } from "../routes/environment-id.ts";

export type OwnerDeps = {
  /** Null when no such environment lives. */
  getRecord(id: string): EnvironmentRecord | null;
  /** Null when it has no archived logs, or they have no owner. */
  archivedOwner(id: string): Promise<string | null>;
};

/** Refuses changes by viewers. */
export function changersOnly(): RequestHandler {
  return (request, response, next) => {
    if (isChange(request)) assertMay(mayChange, callerOf(response), request);
    next();
  };
}

/** For paths that concern the environments of all owners. */
export function adminsOnly(): RequestHandler {
  return (request, response, next) => {
    assertMay(({ role }) => role === "admin", callerOf(response), request);
    next();
  };
}

/** For `/envs/:id`: to a member the environments of others do not exist, living or archived. */
export function ownersOnly({ getRecord, archivedOwner }: OwnerDeps): RequestHandler {
  return async (request, response, next) => {
    const caller = callerOf(response);
    if (caller.role !== "member") return next();
    const id = environmentId(request);
    const record = getRecord(id);
    if (record !== null && maySee(caller, record.owner)) return next();
    // Also when another's environment lives: the time of the answer must not tell it from one that never existed.
    const archived = await archivedOwner(id);
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
