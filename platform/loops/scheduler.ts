import { schedule, setLogger } from "node-cron";
import type { Logger } from "../runtime/logger.ts";

/** A piece of work that runs again and again. */
export type Job = {
  name: string;
  /** A cron expression; six fields when the first is seconds. */
  schedule: string;
  run(): Promise<void>;
};

export type Scheduler = {
  /** Whether every job's last run succeeded, and which did not. */
  health(): { ok: boolean; detail: string };
  /** Starts no more runs and waits for those under way. */
  stop(): Promise<void>;
};

/**
 * Runs jobs by their schedules. A job never overlaps itself: a run that is due while the last one is
 * still busy is skipped, and said so. A job that throws is logged and runs again when it is next due.
 */
export function startScheduler(jobs: Job[], logger: Logger): Scheduler {
  setLogger({
    info: (message) => logger.debug({ cron: message }, "scheduler"),
    warn: (message) => logger.warn({ cron: message }, "scheduler"),
    error: (message) => logger.error({ cron: String(message) }, "scheduler"),
    debug: () => {},
  });
  const failing = new Map<string, string>();
  const underWay = new Map<string, Promise<void>>();

  const tasks = jobs.map((job) =>
    schedule(job.schedule, () => {
      if (underWay.has(job.name)) {
        logger.warn({ loop: job.name }, "run skipped: the last one is still busy");
        return;
      }
      const run = runJob(job, failing, logger).finally(() => underWay.delete(job.name));
      underWay.set(job.name, run);
    }),
  );

  return {
    health() {
      const detail = [...failing].map(([name, reason]) => `${name}: ${reason}`).join("; ");
      return failing.size === 0 ? { ok: true, detail: jobs.map(({ name }) => name).join(", ") } : { ok: false, detail };
    },
    async stop() {
      for (const task of tasks) await task.destroy();
      await Promise.all(underWay.values());
    },
  };
}

async function runJob(job: Job, failing: Map<string, string>, logger: Logger): Promise<void> {
  try {
    await job.run();
    failing.delete(job.name);
  } catch (error) {
    failing.set(job.name, error instanceof Error ? error.message : String(error));
    logger.error({ err: error, loop: job.name }, "loop failed; it runs again when next due");
  }
}
