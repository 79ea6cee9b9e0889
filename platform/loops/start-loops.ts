import type { Logger } from "../kernel/logger.ts";
import { startScheduler, type Scheduler } from "./scheduler.ts";

/** When each loop runs, as cron expressions. */
export type Schedules = { cleanup: string; health: string; reconcile: string; prune: string };

/** The use-cases that run by themselves. */
export type LoopDeps = {
  cleanupExpired(): Promise<void>;
  health: { checkAll(): Promise<void> };
  reconcile(options: { startup: boolean }): Promise<unknown>;
  disk: { prune(): Promise<void> };
  endOutages(): Promise<void>;
  handleEngineEvents(signal: AbortSignal): Promise<void>;
  logger: Logger;
  stopping: AbortSignal;
};

/** How often ends of outages are looked for. */
const OUTAGES_MS = 1_000;

/** Starts everything that runs by itself. It ends when the scheduler is stopped and `stopping` has aborted. */
export function startLoops(deps: LoopDeps, schedules: Schedules): Scheduler {
  const { logger, stopping } = deps;
  void deps.handleEngineEvents(stopping).catch((error: unknown) => {
    logger.error({ err: error }, "engine events ended; health is polled only");
  });
  return startScheduler(
    [
      { name: "cleanup", schedule: schedules.cleanup, overlaps: true, run: () => deps.cleanupExpired() },
      { name: "health", schedule: schedules.health, run: () => deps.health.checkAll() },
      {
        name: "reconcile",
        schedule: schedules.reconcile,
        run: async () => void (await deps.reconcile({ startup: false })),
      },
      { name: "prune", schedule: schedules.prune, run: () => deps.disk.prune() },
      { name: "outages", schedule: OUTAGES_MS, overlaps: true, run: () => deps.endOutages() },
    ],
    logger,
  );
}
