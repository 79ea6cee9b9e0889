import { Router, type Response } from "express";
import type { Clock } from "../../kernel/clock.ts";
import type { Context } from "../../usecases/context.ts";
import { platformHealth, type PartHealth, type PlatformHealth } from "../../usecases/health/platform-health.ts";
import { readHealth } from "../../usecases/health/read-health.ts";
import { knownCaller } from "../middleware/caller.ts";
import { environmentId } from "./environment-id.ts";
import { addRoute } from "../route-table.ts";

/** How long an answer is given again: a look asks the engine and Nginx and writes a file, and anybody may ask. */
const FRESH_MS = 1_000;

/** `/healthz` for the platform, `/envs/:id/health` for one environment. */
export function healthRoutes(context: Context, loops: () => PartHealth): Router {
  const router = Router();
  const look = shared(() => platformHealth(context, loops()), context.clock);
  addRoute(router, "/healthz", {
    get: async (_request, response) => {
      const health = await look();
      response.status(health.status === "ok" ? 200 : 503).json(forCaller(health, response));
    },
  });
  addRoute(router, "/envs/:id/health", {
    get: async (request, response) => void response.json(await readHealth(context, environmentId(request))),
  });
  return router;
}

/** One look at a time, and its answer for everybody who asks within a second of it. */
function shared<T>(look: () => Promise<T>, clock: Clock): () => Promise<T> {
  let last: { answer: Promise<T>; since: number | null } | null = null;
  return () => {
    const age = last === null || last.since === null ? 0 : clock.now() - last.since;
    // A clock that was set back must not make an answer last.
    if (last !== null && age >= 0 && age < FRESH_MS) return last.answer;
    const mine: typeof last = { answer: look(), since: null };
    last = mine;
    mine.answer.then(
      () => (mine.since = clock.now()),
      () => (last = null),
    );
    return mine.answer;
  };
}

/** What cannot be made ahead is told in the words of whatever failed, images' names among them: for callers with a token. */
function forCaller(health: PlatformHealth, response: Response): PlatformHealth {
  if (knownCaller(response) !== null) return health;
  return { ...health, parts: { ...health.parts, ahead: { ...health.parts.ahead, detail: "" } } };
}
