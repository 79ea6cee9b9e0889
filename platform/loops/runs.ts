import type { Logger } from "../kernel/logger.ts";

/** Work that runs by a schedule. */
export type Job = {
  name: string;
  /** A cron expression, whose first of six fields is seconds; or the milliseconds from one run's begin to the next. */
  schedule: string | number;
  /** Whether a run may begin while an earlier one is still busy. */
  overlaps?: boolean;
  run(): Promise<void>;
};

/** Begins the runs of jobs, and remembers how each job's last run ended. */
export type Runs = {
  /** Begins a run, or logs why not and returns false. */
  begin(job: Job): boolean;
  hasFailed(name: string): boolean;
  /** Resolves once no run is under way. */
  ended(): Promise<void>;
};

export function createRuns(logger: Logger): Runs {
  const failing = new Set<string>();
  const running = new Map<string, Set<Promise<void>>>();

  async function run(job: Job): Promise<void> {
    try {
      await job.run();
      failing.delete(job.name);
    } catch (error) {
      failing.add(job.name);
      logger.error({ err: error, loop: job.name }, "loop failed; it runs again when next due");
    }
  }

  return {
    begin(job) {
      const busy = running.get(job.name) ?? new Set();
      running.set(job.name, busy);
      if (busy.size > 0 && job.overlaps !== true) {
        logger.warn({ loop: job.name }, "run skipped: the previous one is still busy");
        return false;
      }
      const begun = run(job).finally(() => busy.delete(begun));
      busy.add(begun);
      return true;
    },
    hasFailed: (name) => failing.has(name),
    async ended() {
      await Promise.all([...running.values()].flatMap((busy) => [...busy]));
    },
  };
}
