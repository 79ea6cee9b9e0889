import { delay } from "../../kernel/delay.ts";
import { describeError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/logger.ts";
import type { Router } from "../../routing/router.ts";
import type { EventLog } from "../../store/journal/event-log.ts";
import type { EdgeContainer } from "../../workloads/workloads.ts";

const ANSWER_LIMIT_MS = 5_000;
/** A container that ends at once has been started four times by then: the engine waits 100 ms, 200 ms, 400 ms, … */
const ENDING_LIMIT_MS = 2_000;
const PAUSE_MS = 50;

export type RepairRoutingDeps = {
  edge: EdgeContainer;
  router: Router;
  events: Pick<EventLog, "emit">;
  logger: Pick<Logger, "warn" | "error">;
  stopping: AbortSignal;
};

/**
 * Gets Nginx going again: started where it does not run (an engine leaves alone what was stopped or killed by hand),
 * unpaused, put back on the platform's own network. Returns whether anything was repaired. A container that is gone
 * only `make up` can make; that, and a failure here, is reported.
 */
export type RepairRouting = () => Promise<boolean>;

export function createRepairRouting({ edge, router, events, logger, stopping }: RepairRoutingDeps): RepairRouting {
  /** Waits for Nginx, as routes are loaded next; false when it takes too long, or ends again and again. */
  async function answers(): Promise<boolean> {
    const started = performance.now();
    for (;;) {
      if ((await router.check()).ok) return true;
      const waited = performance.now() - started;
      if (stopping.aborted || waited >= ANSWER_LIMIT_MS) return false;
      if (waited >= ENDING_LIMIT_MS && (await edge.hasExited())) return false;
      await delay(PAUSE_MS, stopping);
    }
  }

  return async () => {
    try {
      // A foreign file may be what keeps Nginx from starting.
      const steps = await edge.repair({ beforeStart: () => router.quarantineForeign() });
      if (steps.length === 0) return false;
      if (!(await answers())) {
        // A platform that was told to stop while it waited knows nothing of Nginx.
        if (stopping.aborted) return false;
        throw new Error("it does not start, or does not answer; its log tells why: docker logs");
      }
      logger.warn({ steps }, "edge proxy repaired");
      events.emit({ type: "platform.repaired", env_id: null, data: { steps } });
      return true;
    } catch (error) {
      const reason = `Cannot repair Nginx: ${describeError(error)}`;
      logger.error({ err: error }, "cannot repair the edge proxy; trying again in a minute");
      events.emit({ type: "drift.unrepaired", env_id: null, data: { reason } });
      return false;
    }
  };
}
