import { Router, type Response } from "express";
import type { PlatformHealth } from "../../usecases/health/platform-health.ts";
import { knownCaller } from "../middleware/caller.ts";
import { addRoute } from "../route-table.ts";
import { environmentId } from "./environment-id.ts";

export type HealthDeps = {
  platformHealth(): Promise<PlatformHealth>;
  environmentHealth(id: string): Promise<object>;
  /** Milliseconds since the epoch. */
  now(): number;
};

/** How long an answer is kept: a check asks the engine and Nginx and writes a file, and needs no token. */
const FRESH_MS = 1_000;

/** `/healthz` for the platform, `/envs/:id/health` for one environment. */
export function healthRoutes({ platformHealth, environmentHealth, now }: HealthDeps): Router {
  const router = Router();
  const check = cached(platformHealth, now);
  addRoute(router, "/healthz", {
    get: async (_request, response) => {
      const health = await check();
      response.status(health.status === "ok" ? 200 : 503).json(forCaller(health, response));
    },
  });
  addRoute(router, "/envs/:id/health", {
    get: async (request, response) => void response.json(await environmentHealth(environmentId(request))),
  });
  return router;
}

/** Runs one check at a time and gives its answer to all callers who ask within a second of it. */
function cached<T>(check: () => Promise<T>, now: () => number): () => Promise<T> {
  let last: { answer: Promise<T>; since: number | null } | null = null;
  return () => {
    const age = last === null || last.since === null ? 0 : now() - last.since;
    // A clock that is set back makes the age negative: the answer must not last until the clock has caught up.
    if (last !== null && age >= 0 && age < FRESH_MS) return last.answer;
    const mine: typeof last = { answer: check(), since: null };
    last = mine;
    mine.answer.then(
      () => (mine.since = now()),
      () => (last = null),
    );
    return mine.answer;
  };
}

/** The warm pool's last error may name images: its text is for callers with a token. */
function forCaller(health: PlatformHealth, response: Response): PlatformHealth {
  if (knownCaller(response) !== null) return health;
  return { ...health, parts: { ...health.parts, warm_pool: { ...health.parts.warm_pool, detail: "" } } };
}
