import { delay } from "../../kernel/delay.ts";
import { describeError } from "../../kernel/errors.ts";
import type { EdgeContainer } from "../../workloads/workloads.ts";
import type { Needs } from "../deps.ts";

/** A container that ends at once has been started four times by then: the engine waits 100 ms, 200 ms, 400 ms, … */
const ENDING_LIMIT_MS = 2_000;
const PAUSE_MS = 50;

type RepairRoutingDeps = Needs<"router" | "events" | "logger" | "stopping"> & {
  edge: EdgeContainer;
  /** How long Nginx may take to answer after a repair. */
  answerLimitMs?: number;
};

export type RepairRouting = ReturnType<typeof createRepairRouting>;

/**
 * Gets Nginx going again: started where it does not run (an engine leaves alone what was stopped or killed by hand),
 * unpaused, put back on the platform's own network. Returns whether anything was repaired. A container that is gone
 * only `make up` can make; that, and a failure here, is reported.
 */
export function createRepairRouting(deps: RepairRoutingDeps) {
  const { edge, router, events, logger, stopping, answerLimitMs = 5_000 } = deps;

  /** Waits for Nginx, as routes are loaded next; false when it takes too long, or ends again and again. */
  async function answers(): Promise<boolean> {
    const started = performance.now();
    for (;;) {
      if ((await router.check()).ok) return true;
      const waited = performance.now() - started;
      if (stopping.aborted || waited >= answerLimitMs) return false;
      if (waited >= ENDING_LIMIT_MS && (await edge.hasExited())) return false;
      await delay(PAUSE_MS, stopping);
    }
  }

  return async (): Promise<boolean> => {
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
      logger.error({ err: error }, "cannot repair the edge proxy; trying again in a minute");
      const reason = `Cannot repair Nginx: ${describeError(error)}`;
      events.emit({ type: "drift.unrepaired", env_id: null, data: { reason } });
      return false;
    }
  };
}
