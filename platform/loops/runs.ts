import type { Logger } from "../kernel/logger.ts";

/** A piece of work that runs again and again. */
export type Job = {
  name: string;
  /** A cron expression, six fields when the first is seconds; or the milliseconds from one begin to the next. */
  schedule: string | number;
  /** A run begins although an earlier one is still busy: it leaves alone what that one is at. */
  overlaps?: boolean;
  run(): Promise<void>;
};

/** The runs of jobs: which are under way, and how each job's last one ended. */
export type Runs = {
  /** Begins a run and returns true, or says why not. */
  begin(job: Job): boolean;
  hasFailed(name: string): boolean;
  /** Waits for those under way. */
  ended(): Promise<void>;
};

export function createRuns(logger: Logger): Runs {
  const failing = new Set<string>();
  const underWay = new Map<string, Set<Promise<void>>>();

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
      const busy = underWay.get(job.name) ?? new Set();
      underWay.set(job.name, busy);
      if (busy.size > 0 && job.overlaps !== true) {
        logger.warn({ loop: job.name }, "run skipped: the last one is still busy");
        return false;
      }
      const mine = run(job).finally(() => busy.delete(mine));
      busy.add(mine);
      return true;
    },
    hasFailed: (name) => failing.has(name),
    async ended() {
      await Promise.all([...underWay.values()].flatMap((busy) => [...busy]));
    },
  };
}
