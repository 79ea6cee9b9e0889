import { checkAllHealth } from "../usecases/health/check-health.ts";
import { cleanupExpired } from "../usecases/environments/cleanup-expired.ts";
import type { Context } from "../usecases/context.ts";
import { endOutages } from "../usecases/chaos/end-outages.ts";
import { pruneArchives } from "../usecases/environments/disk-pressure.ts";
import { handleEngineEvents } from "../usecases/reconcile/handle-engine-events.ts";
import { reconcile } from "../usecases/reconcile/reconcile.ts";
import { startScheduler, type Scheduler } from "./scheduler.ts";

/** When each loop runs, as cron expressions. */
export type Schedules = { cleanup: string; health: string; reconcile: string; prune: string };

/** How often ends of outages are looked for. */
const OUTAGES_MS = 1_000;

/** Starts everything that happens by itself. It ends when the scheduler is stopped and `context.stopping` has aborted. */
export function startLoops(context: Context, schedules: Schedules): Scheduler {
  void handleEngineEvents(context, context.stopping).catch((error: unknown) => {
    context.logger.error({ err: error }, "engine events ended; health is polled only");
  });
  return startScheduler(
    [
      { name: "cleanup", schedule: schedules.cleanup, overlaps: true, run: () => cleanupExpired(context) },
      { name: "health", schedule: schedules.health, run: () => checkAllHealth(context) },
      {
        name: "reconcile",
        schedule: schedules.reconcile,
        run: async () => void (await reconcile(context, { startup: false })),
      },
      { name: "prune", schedule: schedules.prune, run: () => pruneArchives(context) },
      { name: "outages", schedule: OUTAGES_MS, overlaps: true, run: () => endOutages(context) },
    ],
    context.logger,
  );
}
